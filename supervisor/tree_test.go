package supervisor

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestTheTreeIsDrawnWithWhatEverybodyDoes(t *testing.T) {
	bubbles(t, func(k *kit) {
		spec := k.tree()
		spec.Config = Config{Backoff: BackoffConfig{Base: 3 * time.Second, Jitter: -1}}
		spec.Children[1].Tree.Config = Config{Scope: Rest, Quarantine: QuarantineConfig{Failures: 1}}
		spec.Children = append(spec.Children, Child{Tree: &Spec{
			Name: "pool", Config: Config{Correlated: CorrelatedConfig{Share: 0.4, MinFailed: 2}, Budget: BudgetConfig{Burst: 1, Every: time.Hour}},
			Children: []Child{{Name: "w1", Props: k.actorOf("w1", nil)}, {Name: "w2", Props: k.actorOf("w2", nil)}, {Name: "w3", Props: k.actorOf("w3", nil)}},
		}})
		r := k.start(spec)
		k.send("shop/log", fail{errors.New("disk full")})
		for range 2 {
			k.send("shop/store/index", fail{"ouch"})
		}
		k.send("shop/pool/w1", fail{"ouch"})
		k.send("shop/pool/w2", fail{"ouch"})
		k.sleep(500 * time.Millisecond)
		want := strings.TrimPrefix(`
shop [one-for-one]  running
├── log  restarting (backoff) for 2.5s  failed on supervisor.fail: disk full
├── store [rest-for-one]  running
│   ├── disk  running
│   ├── index  quarantined (too-often)  restarts 1  failed on supervisor.fail: ouch
│   └── scan  suspended (sibling)  restarts 1
└── pool [one-for-one]  running  circuit of its children open
    ├── w1  running  restarts 1  failed on supervisor.fail: ouch
    ├── w2  open (correlated) for 1m0s  failed on supervisor.fail: ouch
    └── w3  running
`, "\n")
		want = strings.Replace(want, "1m0s", "60s", 1)
		b, err := r.Tree(k.t.Context())
		if err != nil {
			k.t.Fatal(err)
		}
		got := strings.Replace(b.String(), "1m0s", "60s", 1)
		if got != want {
			k.t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		if s := Tree(k.system).String(); strings.Replace(s, "1m0s", "60s", 1) != want {
			k.t.Errorf("all:\n%s", s)
		}
		sub, err := TreeOf(k.t.Context(), k.system, k.pid("shop/store"))
		if err != nil || sub.ID != "shop/store" || len(sub.Children) != 3 || sub.Children[2].State != Suspended {
			k.t.Errorf("store: %+v, %v", sub, err)
		}
	})
}

func TestTreesOfSeveralTopsAreDrawnOneBelowTheOther(t *testing.T) {
	bubbles(t, func(k *kit) {
		k.family(must(k.t, Config{}))
		k.root(k.actorOf("alone", nil, must(k.t, Config{})), "alone")
		want := "boss [one-for-one]  running\n├── a  running\n└── b  running\n"
		for _, name := range []string{"z", "p", "q", "r"} {
			k.root(k.actorOf(name, []spawn{{k.actorOf("y", nil), "y"}}, must(k.t, Config{})), name)
		}
		for _, name := range []string{"p", "q", "r", "z"} {
			want += name + " [one-for-one]  running\n└── y  running\n"
		}
		if got := Tree(k.system).String(); got != want {
			k.t.Errorf("got\n%s", got)
		}
		if _, err := TreeOf(k.t.Context(), k.system, k.pid("alone")); !errors.Is(err, ErrNotSupervised) {
			k.t.Errorf("got %v", err)
		}
	})
}

func TestABusySupervisorIsShownAsSuch(t *testing.T) {
	bubbles(t, func(k *kit) {
		k.family(must(k.t, Config{Name: "busy one"}))
		block := make(chan struct{})
		k.send("boss", wait{block})
		before := time.Now()
		f := Tree(k.system)
		if time.Since(before) != TreeWait || len(f) != 1 || !f[0].Supervision.Silent {
			k.t.Errorf("after %v: %+v", time.Since(before), f)
		}
		if got := f.String(); got != "boss [one-for-one]  running  too busy to say more\n" {
			k.t.Errorf("got %q", got)
		}
		close(block)
		k.noted("")
	})
}

func TestHowManyWaitForTheBudgetIsShown(t *testing.T) {
	bubbles(t, func(k *kit) {
		k.three(must(k.t, Config{Budget: BudgetConfig{Burst: 1, Every: 90 * time.Second}}))
		for _, id := range []string{"boss/a", "boss/b", "boss/c"} {
			k.send(id, fail{"ouch"})
		}
		got := Tree(k.system).String()
		if !strings.HasPrefix(got, "boss [one-for-one]  running  2 wait for the budget\n") || !strings.Contains(got, "b  restarting (budget)  failed") {
			k.t.Errorf("got\n%s", got)
		}
	})
}

func TestDurationsAreDrawnShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-1: "0s", 1: "1ns", 1234567: "1ms", 1234 * time.Millisecond: "1.2s", 75*time.Second + 400*time.Millisecond: "1m15s",
	} {
		if got := short(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}
