package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/goleak"

	"github.com/bulwark-go/bulwark/mailbox"
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
	dead   []string // system messages that nobody got
	logs   []string // level and message of what was logged at Warn or above
	doom   bool     // the logger panics

	ours bool                  // actors have a mailbox of ours
	box  actor.MailboxProducer // which; nil is the plain one
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
			case *actor.DeadLetterEvent:
				switch e.Message.(type) {
				case *actor.Restart, *actor.Failure, mailbox.Gate:
					k.dead = append(k.dead, fmt.Sprintf("%T for %s", e.Message, e.PID.GetId()))
				}
			}
		})
		f(k)
		synctest.Wait()
		k.system.Shutdown()
		time.Sleep(2 * k.system.Config.DeadLetterThrottleInterval)
	})
}

// bubbles runs f with actors that have proto.actor's mailboxes, and with such that have
// ours, plain or with all that a user may ask for.
//
//bulwark:bubble
func bubbles(t *testing.T, f func(k *kit)) {
	t.Helper()
	t.Run("proto.actor's mailbox", func(t *testing.T) {
		bubble(t, f)
	})
	t.Run("ours", func(t *testing.T) {
		bubble(t, func(k *kit) { k.ours = true; f(k) })
	})
	t.Run("ours, with lanes and the like", func(t *testing.T) {
		bubble(t, func(k *kit) {
			k.ours, k.box = true, mailbox.MustNew(
				mailbox.Capacity(100), mailbox.OnFull(mailbox.DropLowest), mailbox.Lanes(mailbox.Priority, 1, 1, 1, 1, 4, 4, 4, 16),
				mailbox.WaterMarks(10, 90), mailbox.CoDel(time.Hour, 2*time.Hour), mailbox.NewestFirst(), mailbox.TTL(24*time.Hour))
			f(k)
		})
	})
}

// mailbox is the one of ours that actors have.
func (k *kit) mailbox() actor.PropsOption {
	if k.box != nil {
		return actor.WithMailbox(k.box)
	}
	return actor.WithMailbox(mailbox.Producer(mailbox.Config{}))
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
	wanted := strings.FieldsFunc(want, func(r rune) bool { return r == ',' })
	for i := range wanted {
		wanted[i] = strings.TrimSpace(wanted[i])
	}
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

// echo makes the receiver answer with the same.
type echo string

// try is run by the receiver.
type try func(c actor.Context)

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
	if k.ours {
		opts = append([]actor.PropsOption{k.mailbox()}, opts...)
	}
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
		case echo:
			c.Respond(msg)
		case wait:
			<-msg.until
		case func():
			msg()
		case try:
			msg(c)
		case spawn:
			if _, err := c.SpawnNamed(msg.props, msg.name); err != nil {
				k.t.Errorf("spawning %s: %v", msg.name, err)
			}
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

func (k *kit) pid(id string) *actor.PID { return k.system.NewLocalPID(id) }

// ask sends a request, which waits for an hour for its answer.
func (k *kit) ask(id string, msg any) *actor.Future {
	return k.system.Root.RequestFuture(k.pid(id), msg, time.Hour)
}

// answered checks that f has an answer, at once, and returns it.
func (k *kit) answered(f *actor.Future) any {
	k.t.Helper()
	before := time.Now()
	res, err := f.Result()
	if err != nil || time.Since(before) != 0 {
		k.t.Errorf("answered (%v, %v) after %v", res, err, time.Since(before))
	}
	return res
}

// works checks that an actor serves what it is asked, at once.
func (k *kit) works(ids ...string) {
	k.t.Helper()
	for _, id := range ids {
		if got := k.answered(k.ask(id, echo(id))); got != echo(id) {
			k.t.Errorf("%s answered %v", id, got)
		}
	}
}

// sleep lets time pass, and waits until the system is idle.
//
//bulwark:bubble
func (k *kit) sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// refused checks that f is answered, at once, that it was undelivered, for target.
func (k *kit) refused(f *actor.Future, target error) {
	k.t.Helper()
	_ = k.refusal(f, target)
}

// refusal is refused, and returns the reason.
func (k *kit) refusal(f *actor.Future, target error) error {
	k.t.Helper()
	u, ok := k.answered(f).(mailbox.Undelivered)
	if !ok || !errors.Is(u, target) {
		k.t.Errorf("answered %v, want %v", u, target)
	}
	return u.Reason
}

// waits checks that f has no answer yet.
func (k *kit) waits(f *actor.Future) {
	k.t.Helper()
	synctest.Wait()
	if _, ok := k.system.ProcessRegistry.GetLocal(f.PID().Id); !ok {
		k.t.Error("answered already")
	}
}

// changes waits until the system is idle, and returns what happened to children since
// the last time, in words.
func (k *kit) changes() string {
	k.t.Helper()
	synctest.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	var words []string
	for _, e := range k.seen {
		var word string
		switch e := e.(type) {
		case ChildChanged:
			word = fmt.Sprintf("%s %v>%v %s", e.Child, e.From, e.To, e.Cause)
			if !e.Until.IsZero() {
				word += fmt.Sprint(" for ", e.Until.Sub(e.At))
			}
		case ChildRestarted:
			word = fmt.Sprintf("%s restarted %d", e.Child, e.Restarts)
		case ChildrenChanged:
			word = fmt.Sprintf("%s's children %v>%v %s", e.Supervisor, e.From, e.To, e.Cause)
			if !e.Until.IsZero() {
				word += fmt.Sprint(" for ", e.Until.Sub(e.At))
			}
		}
		words = append(words, word)
	}
	k.seen = nil
	return strings.Join(words, ", ")
}

func (k *kit) changed(want string) {
	k.t.Helper()
	if got := k.changes(); got != want {
		k.t.Errorf("changes\n%q, want\n%q", got, want)
	}
}

// stopped checks that the actor stops, at once.
func (k *kit) stopped(id string) {
	k.t.Helper()
	before := time.Now()
	if err := k.system.Root.StopFuture(k.pid(id)).Wait(); err != nil || time.Since(before) != 0 {
		k.t.Errorf("stopping %s took %v: %v", id, time.Since(before), err)
	}
	synctest.Wait()
}

// alone checks that nothing but what every actor system has is registered.
func (k *kit) alone() {
	k.t.Helper()
	synctest.Wait()
	eachProcess(k.system, func(id string, p any) {
		switch p.(type) {
		case *actor.ActorProcess, *node, prober, *watch:
			k.t.Errorf("%s is still registered: %T", id, p)
		}
	})
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.dead) > 0 {
		k.t.Errorf("sent to nobody: %v", k.dead)
	}
}
