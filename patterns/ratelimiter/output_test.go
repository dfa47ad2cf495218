package ratelimiter

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/eventqueue"
)

func TestErrorsSayWhoWhyAndWhen(t *testing.T) {
	m := newTestMachine(Config{Rate: MustParse("10/second burst 2")})
	m.Take(0, request("", 1))
	for want, err := range map[string]error{
		`rate limiter "test" refuses (rate): 10/second burst 2, 1 left, retry at 1970-01-01T`:                        m.Acquire(0, 1, request("", 2)).Err,
		`rate limiter "test": weight 3 is not in [1, 2], which is all that 10/second burst 2 ever lets pass at once`: m.Acquire(0, 1, request("", 3)).Err,
		`rate limiter "test" refuses (forced)`:                                                                      (&LimitError{Name: "test", Cause: CauseForced}),
		`ratelimiter: For -1ns: must not be negative`:                                                               m.Operate(0, patterns.Operation{For: -1}),
		`ratelimiter: Kind operation(9): is not something a limiter can do`:                                         m.Operate(0, patterns.Operation{Kind: 9}),
		`ratelimiter: rate "x": the count must be a whole number; a good one is "100/minute burst 20"`:              errorOf(Parse("x")),
		`ratelimiter: MaxKeys -1: means that no key can have rates of its own`:                                      newTestMachine(alone(per(1, sec))).Override(0, "k", Rate{Count: 1, Per: sec}),
		`ratelimiter: Key "": is of requests without a key`:                                                         m.Override(0, "", Rate{Count: 1, Per: sec}),
		`ratelimiter: rate "1/0s": the period must be longer than 0; a good one is "100/minute burst 20"`:           Rate{Count: 1}.Validate(),
		`ratelimiter: rate "1/s,2/s,3/s,4/s,5/s": there are more than 4 rates; a good one is "100/minute burst 20"`: errorOf(ParseTiers("1/s,2/s,3/s,4/s,5/s")),
		`ratelimiter: Rate 0/0s: must be set, or Tiers`:                                                             Config{}.Validate(),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
}

func errorOf[T any](_ T, err error) error { return err }

func TestErrorsMatch(t *testing.T) {
	limited, heavy := &LimitError{}, &WeightError{}
	for _, tt := range []struct {
		err, target error
		want        bool
	}{
		{limited, ErrLimited, true},
		{limited, patterns.ErrRejected, true},
		{limited, patterns.ErrInvalidRequest, false},
		{heavy, ErrLimited, false},
		{heavy, patterns.ErrRejected, true},
		{heavy, patterns.ErrInvalidRequest, true},
	} {
		if got := errors.Is(fmt.Errorf("wrapped: %w", tt.err), tt.target); got != tt.want {
			t.Errorf("%T matches %v: %v", tt.err, tt.target, got)
		}
	}
}

func TestRetryAfterIsCountedWhenItIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMachine(Params{Origin: time.Now(), Config: per(1, sec)})
		m.Take(0, request("", 1))
		err := m.Acquire(0, 1, request("", 1)).Err
		time.Sleep(300 * ms)
		if d, ok := patterns.RetryAfter(err); !ok || d != 700*ms {
			t.Errorf("retry after %v, %v", d, ok)
		}
		e, _ := errors.AsType[*LimitError](err)
		if e.ResetAfter() != 700*ms || e.Limit != 1 || e.Remaining != 0 || e.Rate != (Rate{1, sec, 1}) {
			t.Errorf("%+v", e)
		}
		time.Sleep(time.Second)
		if e.RetryAfter() != 0 || e.ResetAfter() != 0 {
			t.Error("a time that passed is below 0")
		}
		if forced := (&LimitError{}); forced.RetryAfter() != 0 || forced.ResetAfter() != 0 {
			t.Error("an unknown time is not 0")
		}
	})
}

func TestEventsTellTheStory(t *testing.T) {
	m := newTestMachine(with(per(1, sec), func(c *Config) { c.MaxKeys = 1 }))
	s := newScript(t, m)
	s.run("@x a a a @y a a +500ms a +600ms @x a a force-open:1s +1s a rate=2/s")
	var got []string
	for e := range m.Drain() {
		if e.Source() != "test" {
			t.Errorf("%v is of %q", e, e.Source())
		}
		got = append(got, fmt.Sprint(e.Level(), " ", strings.Join(told(e), " ")))
	}
	want := []string{
		"INFO limited cause=rate rate=1/second refused=1",
		"WARN key-overflow keys=1 requests=1",
		"INFO limited cause=rate rate=1/second refused=4",
		"INFO state-changed from=limiting to=forced-open cause=forced epoch=2",
		"INFO state-changed from=forced-open to=limiting cause=forced-elapsed epoch=3",
		"INFO config-changed from=1/second to=2/second",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for range m.Drain() {
		t.Error("drained twice")
	}
}

// told is an event's name and what is particular to it.
func told(e patterns.Event) (words []string) {
	for _, a := range e.LogValue().Group() {
		switch v := a.Value.Any().(type) {
		case Config:
			words = append(words, a.Key+"="+v.Rate.String())
		default:
			switch a.Key {
			case "event":
				words = append(words, a.Value.String())
			case "guard", "at":
			default:
				words = append(words, a.Key+"="+a.Value.String())
			}
		}
	}
	return words
}

func TestEventsAreKnownByTheirKind(t *testing.T) {
	for _, tt := range []struct {
		e    patterns.Event
		want [3]bool
	}{
		{Limited{}, [3]bool{true, false, false}},
		{KeyOverflow{}, [3]bool{false, true, false}},
		{ConfigChanged{}, [3]bool{false, false, true}},
		{StateChanged{}, [3]bool{}},
	} {
		if got := [3]bool{WasLimited(tt.e), Overflowed(tt.e), WasChanged(tt.e)}; got != tt.want {
			t.Errorf("%T: %v", tt.e, got)
		}
	}
	if (StateChanged{Cause: CauseRepaired}).Level() != slog.LevelWarn {
		t.Error("a repair is no warning")
	}
}

func TestUndrainedEventsAreBoundedAndCounted(t *testing.T) {
	m := newTestMachine(per(1, sec))
	for range eventqueue.Max + 5 {
		if err := m.Operate(0, patterns.Operation{Kind: patterns.Reset, Note: "why not"}); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for e := range m.Drain() {
		n++
		if !slices.Contains(told(e), "note=why not") {
			t.Error("the note is lost")
		}
		if n == 3 {
			break
		}
	}
	for range m.Drain() {
		n++
	}
	if s := m.Snapshot(0, patterns.Counts{}); n != eventqueue.Max || s.EventsLost != 5 {
		t.Errorf("%d events, %d lost", n, s.EventsLost)
	}
}

func TestSnapshots(t *testing.T) {
	m := newTestMachine(Config{Tiers: MustParseTiers("10/second burst 2, 1000/hour"), MaxWaiting: 1})
	newScript(t, m).run("a a a metrics-only:1s a")
	counts := patterns.Counts{Asked: 4, Granted: 4}
	got := m.Snapshot(0, counts)
	want := Snapshot{
		Name: "test", State: MetricsOnly, Epoch: 2, Until: origin.Add(sec),
		Tiers:    Tiers{{10, sec, 2}, {1000, time.Hour, 1000}},
		Budget:   Answer{Allowed: true, Rate: Rate{10, sec, 2}, Limit: 2, ResetAfter: 200 * ms},
		Exceeded: 1, Shards: 1, MaxKeys: 100_000, Counts: counts,
	}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	m = newTestMachine(with(leased(per(100, sec)), func(c *Config) { c.MaxKeys = 7; c.Algorithm = TokenBucket }))
	newScript(t, m).run("@x a100 a @y a")
	if err := m.Override(0, "z", Rate{Count: 1, Per: sec}); err != nil {
		t.Fatal(err)
	}
	got = m.Snapshot(0, counts)
	if got.Keys != 2 || got.MaxKeys != 7 || got.KeyBytes == 0 || got.Overrides != 1 || got.Refused != [MaxTiers]uint64{1} ||
		got.Budget.Remaining != 100 || !got.Until.IsZero() || got.Lent != 0 {
		t.Errorf("%+v", got)
	}
}

func TestCheckFindsWhatIsBroken(t *testing.T) {
	for name, breakIt := range map[string]func(*Machine){
		"state is state(9)":        func(m *Machine) { m.state = 9 },
		"an end of being forced":   func(m *Machine) { m.until = 5 },
		"less than nothing":        func(m *Machine) { m.lent.now = -1 },
		"permits have no place":    func(m *Machine) { m.grants.places = make([]grant, 3) },
		"the budget: its words":    func(m *Machine) { m.single = nil },
		"the budget: the debt":     func(m *Machine) { m.single[0] = 1<<63 - 1; m.hi = -10 },
		"a shared budget: the deb": func(m *Machine) { m.keys.shares[5] = 1<<63 - 1; m.hi = -10 },
		"the budget of a key: the": func(m *Machine) {
			_ = m.Override(0, "k", Rate{Count: 1, Per: sec})
			for _, o := range m.keys.overrides {
				o.state[0] = 1<<63 - 1
			}
			m.hi = -10
		},
	} {
		m := newTestMachine(with(per(1, sec), func(c *Config) { c.MaxKeys = 1 }))
		m.Peek(0, request("k", 1))
		breakIt(m)
		if err := m.Check(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		before := m.epoch
		m.Repair(0)
		if err := m.Check(); err != nil || m.epoch == before {
			t.Errorf("%s: repaired, and %v in epoch %d", name, err, m.epoch)
		}
		if d := m.Acquire(0, 1, request("k", 1)); d.Verdict == patterns.Grant {
			t.Errorf("%s: repaired, and passes at once", name)
		}
		if d := m.Acquire(second(3600), 1, request("k", 1)); d.Verdict != patterns.Grant {
			t.Errorf("%s: repaired, and never passes: %v", name, d)
		}
	}
}

func TestSnapshotsOfShardsAreOne(t *testing.T) {
	for _, c := range []Config{per(5, sec), with(per(5, sec), func(c *Config) { c.Algorithm = FixedWindow })} {
		var shards []Snapshot
		for i := range 3 {
			m := NewMachine(Params{Name: "test", Origin: origin, Config: c, Shard: i, Shards: 3})
			if i == 1 { // where requests without a key are
				m.Take(0, request("", 2))
			}
			m.Take(0, request("k", 5))
			m.Take(0, request("k", 5))
			shards = append(shards, m.Snapshot(0, patterns.Counts{Asked: 1, Granted: 1}))
		}
		s := merge(shards)
		if s.Budget.Remaining != 3 || s.Keys != 3 || s.MaxKeys != 100_000 || s.Refused[0] != 3 || s.Shards != 3 || s.Asked != 3 || s.KeyBytes != 3*shards[0].KeyBytes {
			t.Errorf("%v: %+v", c.Algorithm, s)
		}
	}
}
