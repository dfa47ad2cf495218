package actors

import (
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

func TestAllocsOfAnEventThatNobodyHears(t *testing.T) {
	r := new(relay)
	ev := Event(Stopped{Name: "b"})
	if got := testing.AllocsPerRun(1000, func() { r.publish(ev) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

// A relay that cannot keep up says so in band, even for what never reached it.
func TestAnOverflowOfTheRelayIsToldToEverySubscriber(t *testing.T) {
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slog.DiscardHandler)
	}))
	guards, err := NewRegistry(system, WithoutEventLog())
	if err != nil {
		t.Fatal(err)
	}
	stuck, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	events, stop := guards.Subscribe(Buffer(2*relayCapacity), Matching(func(Event) bool {
		once.Do(func() { close(stuck); <-release })
		return true
	}))
	defer stop()
	guards.relay.publish(Stopped{Name: "first"})
	<-stuck
	const extra = 10
	for range relayCapacity + extra {
		guards.relay.publish(Stopped{Name: "more"})
	}
	close(release)
	guards.relay.publish(Stopped{Name: "last"})
	missed := uint64(0)
	for missed < extra {
		select {
		case ev := <-events:
			if m, ok := ev.(Missed); ok {
				missed += m.Count
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("told of %d missed events in vain", missed)
		}
	}
	if missed < extra || guards.Missed() < missed {
		t.Errorf("told of %d missed events, counted %d; want %d at least", missed, guards.Missed(), extra)
	}
	if err := guards.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	system.Shutdown()
}
