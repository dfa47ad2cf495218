package supervisor

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// kit is an actor system in a bubble, and what was seen of it.
type kit struct {
	t      *testing.T
	system *actor.ActorSystem

	mu     sync.Mutex
	notes  []string // what actors noted
	gaveUp []GaveUp
	seen   []any    // other events of this package
	logs   []string // level and message of what was logged at Warn or above
	doom   bool     // the logger panics
}

// bubble runs f with an actor system of its own in fake time.
//
//bulwark:bubble
func bubble(t *testing.T, f func(k *kit)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		k := &kit{t: t}
		k.system = actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
			return slog.New(k)
		}))
		k.system.EventStream.Subscribe(func(e any) {
			k.mu.Lock()
			defer k.mu.Unlock()
			switch e := e.(type) {
			case GaveUp:
				k.gaveUp = append(k.gaveUp, e)
			case ChildChanged, ChildRestarted, ChildrenChanged:
				k.seen = append(k.seen, e)
			}
		})
		f(k)
		synctest.Wait()
		k.system.Shutdown()
		time.Sleep(2 * k.system.Config.DeadLetterThrottleInterval)
	})
}

func (k *kit) Enabled(context.Context, slog.Level) bool { return true }
func (k *kit) WithAttrs([]slog.Attr) slog.Handler       { return k }
func (k *kit) WithGroup(string) slog.Handler            { return k }

func (k *kit) Handle(_ context.Context, r slog.Record) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.doom && r.Level >= slog.LevelWarn {
		panic("the logger is broken")
	}
	if r.Level >= slog.LevelWarn && r.Message != "supervised child restarted" {
		k.logs = append(k.logs, r.Level.String()+" "+r.Message)
	}
	return nil
}

func (k *kit) note(s string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.notes = append(k.notes, s)
}

// noted waits until the system is idle and compares what was noted since the last time:
// what each actor noted, in order; not who was first.
func (k *kit) noted(want string) {
	k.t.Helper()
	synctest.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	byActor := func(a, b string) int {
		a, _, _ = strings.Cut(a, " ")
		b, _, _ = strings.Cut(b, " ")
		return strings.Compare(a, b)
	}
	wanted := strings.Split(want, ", ")
	slices.SortStableFunc(wanted, byActor)
	slices.SortStableFunc(k.notes, byActor)
	if !slices.Equal(k.notes, wanted) {
		k.t.Errorf("noted %q, want %q", k.notes, wanted)
	}
	k.notes = nil
}

func (k *kit) logged(want ...string) {
	k.t.Helper()
	synctest.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	if !slices.Equal(k.logs, want) {
		k.t.Errorf("logged %q, want %q", k.logs, want)
	}
}

// events waits until the system is idle and returns what was given up, without the time.
func (k *kit) events() []GaveUp {
	k.t.Helper()
	synctest.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	seen := slices.Clone(k.gaveUp)
	for i := range seen {
		if !seen[i].At.Equal(time.Now()) {
			k.t.Errorf("event %d says it happened at %v", i, seen[i].At)
		}
		seen[i].At = time.Time{}
	}
	return seen
}

func must(t *testing.T, cfg Config, opts ...Option) actor.PropsOption {
	t.Helper()
	s, err := New(cfg, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return s.Supervise
}

// fail makes a child panic with reason.
type fail struct{ reason any }

// spawn makes the receiver start a child and answer with its PID.
type spawn struct {
	props *actor.Props
	name  string
}

// actorOf returns props of an actor that notes its life under name and what it is
// told, starts children when it starts, and panics when told so.
func (k *kit) actorOf(name string, children []spawn, opts ...actor.PropsOption) *actor.Props {
	return actor.PropsFromFunc(func(c actor.Context) {
		switch msg := c.Message().(type) {
		case *actor.Started:
			k.note(name + " started")
			for _, s := range children {
				if _, err := c.SpawnNamed(s.props, s.name); err != nil {
					k.t.Errorf("spawning %s: %v", s.name, err)
				}
			}
		case *actor.Restarting:
			k.note(name + " restarting")
		case *actor.Stopped:
			k.note(name + " stopped")
		case string:
			k.note(name + " " + msg)
		case fail:
			panic(msg.reason)
		}
	}, opts...)
}

// family spawns root actor "boss" with children "a" and "b".
func (k *kit) family(opts ...actor.PropsOption) {
	k.t.Helper()
	children := []spawn{{k.actorOf("a", nil), "a"}, {k.actorOf("b", nil), "b"}}
	k.root(k.actorOf("boss", children, opts...), "boss")
	k.noted("boss started, a started, b started")
}

func (k *kit) root(props *actor.Props, name string) {
	k.t.Helper()
	if _, err := k.system.Root.SpawnNamed(props, name); err != nil {
		k.t.Fatal(err)
	}
	synctest.Wait()
}

func (k *kit) send(id string, msg any) {
	k.system.Root.Send(k.system.NewLocalPID(id), msg)
	synctest.Wait()
}
