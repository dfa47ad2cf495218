package supervisor

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// three spawns root actor "boss" with children "a", "b" and "c".
func (k *kit) three(opts ...actor.PropsOption) {
	k.t.Helper()
	var children []spawn
	for _, name := range []string{"a", "b", "c"} {
		children = append(children, spawn{k.actorOf(name, nil), name})
	}
	k.root(k.actorOf("boss", children, opts...), "boss")
	k.noted("boss started, a started, b started, c started")
}

func TestOneForAllRestartsAllChildren(t *testing.T) {
	bubbles(t, func(k *kit) {
		k.three(must(k.t, Config{Scope: All}))
		k.send("boss/b", fail{"ouch"})
		k.noted("a restarting, a started, b restarting, b started, c restarting, c started")
		k.changed("boss/a restarted 1, boss/b restarted 1, boss/c restarted 1")
		for _, id := range []string{"boss/a", "boss/b", "boss/c"} {
			k.works(id)
		}
	})
}

func TestRestForOneRestartsThoseThatWereSpawnedLater(t *testing.T) {
	bubbles(t, func(k *kit) {
		k.three(must(k.t, Config{Scope: Rest}))
		k.send("boss/b", fail{"ouch"})
		k.noted("b restarting, b started, c restarting, c started")
		k.send("boss/c", fail{"ouch"})
		k.noted("c restarting, c started")
		k.send("boss/a", fail{"ouch"})
		k.noted("a restarting, a started, b restarting, b started, c restarting, c started")
	})
}

func TestSpawnOrderIsRememberedThoughProtoActorForgetsIt(t *testing.T) {
	bubbles(t, func(k *kit) {
		k.three(must(k.t, Config{Scope: Rest}))
		k.stopped("boss/a") // proto.actor moves c into its place
		k.noted("a stopped")
		k.send("boss/c", fail{"ouch"})
		k.noted("c restarting, c started")
		k.send("boss/b", fail{"ouch"})
		k.noted("b restarting, b started, c restarting, c started")
	})
}

func TestRestForOneWithoutTheOrderIsOneForAllAndSaysSo(t *testing.T) {
	bubbles(t, func(k *kit) {
		s, err := RestForOne(Config{})
		if err != nil {
			k.t.Fatal(err)
		}
		k.three(actor.WithSupervisor(s))
		k.send("boss/b", fail{"ouch"})
		k.noted("a restarting, a started, b restarting, b started, c restarting, c started")
		k.logged("ERROR rest for one without the order of spawning is one for all: use Strategy.Supervise")
	})
}

// embedding is an actor that supervises by what it embeds.
type embedding struct {
	*Strategy
	actor.Actor
}

func TestAStrategyCanBeEmbedded(t *testing.T) {
	for _, tt := range []struct {
		name string
		opts func(*Strategy) []actor.PropsOption
	}{
		{"alone", func(*Strategy) []actor.PropsOption { return nil }},
		{"and in the props", func(s *Strategy) []actor.PropsOption { return []actor.PropsOption{s.Supervise} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubbles(t, func(k *kit) {
				s, err := OneForAll(Config{Intensity: IntensityConfig{Restarts: 1, Period: time.Minute}})
				if err != nil {
					k.t.Fatal(err)
				}
				inner := func(c actor.Context) {
					if _, ok := c.Message().(*actor.Started); ok {
						for _, name := range []string{"a", "b"} {
							if _, err := c.SpawnNamed(k.actorOf(name, nil), name); err != nil {
								k.t.Error(err)
							}
						}
					}
				}
				k.root(actor.PropsFromProducer(func() actor.Actor { return &embedding{s, actor.ReceiveFunc(inner)} }, tt.opts(s)...), "boss")
				k.noted("a started, b started")
				k.send("boss/b", fail{"ouch"})
				k.noted("a restarting, a started, b restarting, b started")
				k.send("boss/a", fail{"ouch"})
				k.noted("a stopped, b stopped")
				if e := k.events(); len(e) != 1 || e[0].Child != "boss/a" {
					k.t.Errorf("events %+v", e)
				}
			})
		})
	}
}

// headstrong is an actor that supervises its children itself.
type headstrong struct{ actor.Actor }

func (headstrong) HandleFailure(_ *actor.ActorSystem, s actor.Supervisor, child *actor.PID, _ *actor.RestartStatistics, _, _ any) {
	s.ResumeChildren(child)
}

func TestAnActorsOwnHandleFailureIsNotSpokenTo(t *testing.T) {
	bubbles(t, func(k *kit) {
		inner := func(c actor.Context) {
			if _, ok := c.Message().(*actor.Started); ok {
				c.Spawn(k.actorOf("a", nil))
			}
		}
		k.root(actor.PropsFromProducer(func() actor.Actor { return headstrong{actor.ReceiveFunc(inner)} }, must(k.t, Config{})), "boss")
		k.noted("a started")
		k.logged("ERROR the actor's own HandleFailure supervises, and not the strategy of its props")
		if f := Tree(k.system); len(f) != 0 {
			k.t.Errorf("tree:\n%v", f)
		}
	})
}

func TestSiblingsAreSuspendedWhileAGroupWaits(t *testing.T) {
	bubbles(t, func(k *kit) {
		k.three(must(k.t, Config{Scope: Rest, Backoff: BackoffConfig{Base: time.Second, Jitter: -1}, HoldFor: Hold}))
		k.send("boss/b", fail{"ouch"})
		k.changed("boss/b running>restarting backoff for 1s, boss/c running>suspended sibling")
		k.works("boss/a")
		b, c := k.ask("boss/b", echo("b")), k.ask("boss/c", echo("c"))
		k.waits(b)
		k.waits(c)
		k.sleep(time.Second)
		k.noted("b restarting, b started, c restarting, c started")
		k.answered(b)
		k.answered(c)
	})
}

func TestAGroupThatIsGivenUpIsStoppedLastFirst(t *testing.T) {
	bubbles(t, func(k *kit) {
		var order []string
		k.system.EventStream.Subscribe(func(e any) {
			if e, ok := e.(ChildChanged); ok && e.To == Stopping {
				order = append(order, e.Child)
			}
		})
		k.three(must(k.t, Config{Scope: Rest, Intensity: IntensityConfig{Restarts: -1}}))
		k.send("boss/b", fail{"ouch"})
		k.noted("b stopped, c stopped")
		synctest.Wait()
		if len(order) != 2 || order[0] != "boss/c" || order[1] != "boss/b" {
			k.t.Errorf("stopped %v", order)
		}
		k.logged("ERROR supervisor gave up a child")
		k.send("boss", "works")
		k.send("boss/a", "works")
		k.noted("boss works, a works")
	})
}

func TestStopSelfStopsTheTopWithAllItsChildren(t *testing.T) {
	bubbles(t, func(k *kit) {
		k.three(must(k.t, Config{Intensity: IntensityConfig{Restarts: -1}, AtTop: StopSelf}))
		k.send("boss/b", fail{"ouch"})
		k.noted("a stopped, b stopped, c stopped, boss stopped")
		if e := k.events(); len(e) != 1 || e[0].Directive != Stop {
			k.t.Errorf("events %+v", e)
		}
		k.alone()
	})
}
