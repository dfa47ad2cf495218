package actorstest

import (
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
)

// recorded is how many events a Recorder keeps until it is looked at.
const recorded = 4096

// Recorder keeps the events of a registry. It belongs to one goroutine.
type Recorder struct {
	incoming <-chan actors.Event
	seen     []patterns.Event
	looked   int // how many of seen an earlier Want went through
}

// Record records the registry's events from now on, or those that opts select.
func Record(t testing.TB, guards *actors.Registry, opts ...actors.SubscribeOption) *Recorder {
	t.Helper()
	incoming, stop := guards.Subscribe(append([]actors.SubscribeOption{actors.Buffer(recorded)}, opts...)...)
	t.Cleanup(stop)
	return &Recorder{incoming: incoming}
}

// Events returns what was recorded up to now. Inside a bubble that is everything that
// happened; outside, the latest events may still be on their way.
func (r *Recorder) Events() []patterns.Event {
	if inBubble() {
		synctest.Wait()
	}
	for {
		select {
		case ev, ok := <-r.incoming:
			if !ok {
				return r.seen
			}
			r.seen = append(r.seen, ev)
		default:
			return r.seen
		}
	}
}

// Want waits until events came that match, each after the one before; others may lie
// between them. It begins after the last event that the Want before it matched. In a
// bubble, waiting lets virtual time pass, up to an hour; outside, it lasts up to ten
// seconds. If they do not come, the test fails and shows what came instead.
func (r *Recorder) Want(t testing.TB, matchers ...func(patterns.Event) bool) {
	t.Helper()
	r.Events()
	from, matched := r.looked, make(map[int]int) // position in seen → matcher
	timeout := time.NewTimer(patience())
	defer timeout.Stop()
	for next := range matchers {
		if !r.advance(matchers[next], timeout.C) {
			t.Fatal(r.complain(matchers, next, from, matched))
		}
		matched[r.looked-1] = next
	}
}

// advance goes on to the next event that matches and reports whether one came.
func (r *Recorder) advance(match func(patterns.Event) bool, timeout <-chan time.Time) bool {
	for {
		if r.looked < len(r.seen) {
			ev := r.seen[r.looked]
			r.looked++
			if match(ev) {
				return true
			}
			continue
		}
		select {
		case ev, ok := <-r.incoming:
			if !ok {
				return false
			}
			r.seen = append(r.seen, ev)
		case <-timeout:
			return false
		}
	}
}

func (r *Recorder) complain(matchers []func(patterns.Event) bool, missing, from int, matched map[int]int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "actorstest: waited in vain for event %d of %d, %s. What came:", missing+1, len(matchers), nameOf(matchers[missing]))
	for i, ev := range r.seen[from:] {
		note := ""
		if m, ok := matched[from+i]; ok {
			note = "   <- " + nameOf(matchers[m])
		}
		fmt.Fprintf(&b, "\n  %T%v%s", ev, ev.LogValue(), note)
	}
	if len(r.seen) == from {
		b.WriteString(" nothing")
	}
	return b.String()
}

// nameOf returns the name of a matcher, such as circuitbreaker.Opened.
func nameOf(matcher func(patterns.Event) bool) string {
	name := runtime.FuncForPC(reflect.ValueOf(matcher).Pointer()).Name()
	return name[strings.LastIndex(name, "/")+1:]
}

// WantEvents is Recorder.Want for a registry made by this package, which records all
// of its events from the start.
func WantEvents(t testing.TB, guards *actors.Registry, matchers ...func(patterns.Event) bool) {
	t.Helper()
	recorderOf(t, guards).Want(t, matchers...)
}

// Is returns a matcher for the events of type E. With no conditions every one
// matches; otherwise one for which all of them are true.
func Is[E patterns.Event](conditions ...func(E) bool) func(patterns.Event) bool {
	return func(ev patterns.Event) bool {
		e, ok := ev.(E)
		for _, holds := range conditions {
			ok = ok && holds(e)
		}
		return ok
	}
}

// keeper is a registry's recorder, kept under a name in its actor system.
type keeper struct{ recorder *Recorder }

const keeperName = "bulwark-actorstest"

func keep(system *actor.ActorSystem, r *Recorder) {
	pid := system.NewLocalPID(keeperName)
	system.ProcessRegistry.Remove(pid) // of a registry that was shut down before
	system.ProcessRegistry.Add(&keeper{r}, keeperName)
}

func recorderOf(t testing.TB, guards *actors.Registry) *Recorder {
	t.Helper()
	p, _ := guards.System().ProcessRegistry.GetLocal(keeperName)
	k, ok := p.(*keeper)
	if !ok {
		t.Fatal("actorstest: WantEvents needs a registry that NewRegistry made; for others there is Record")
	}
	return k.recorder
}

// SendUserMessage implements actor.Process.
func (*keeper) SendUserMessage(*actor.PID, any) {}

// SendSystemMessage implements actor.Process.
func (*keeper) SendSystemMessage(*actor.PID, any) {}

// Stop implements actor.Process.
func (*keeper) Stop(*actor.PID) {}
