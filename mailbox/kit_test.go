package mailbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// log is what was seen to happen, in order. Any goroutine may write to it.
type log struct {
	mu    sync.Mutex
	lines []string
}

func (l *log) add(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprintf(format, args...))
}

// take returns what was logged since it was last called.
func (l *log) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := l.lines
	l.lines = nil
	return strings.Join(lines, " ")
}

func (l *log) want(t *testing.T, want string) {
	t.Helper()
	if got := l.take(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// fake is an invoker, a handler and a dispatcher without an actor. What is posted is
// a func, which runs in the turn, or a string, which is logged.
type fake struct {
	log
	scheduled []func()
	onAfter   func()
	onFailure func(reason, msg any)
}

// newFake starts a mailbox whose goroutines run when the test calls run.
func newFake(cfg Config) (*Combining, *fake) {
	f := &fake{}
	cfg.Handler = f
	m := NewCombining(cfg)
	m.RegisterHandlers(f, f)
	m.Start()
	f.run()
	return m, f
}

func (f *fake) do(what any) {
	switch what := what.(type) {
	case func():
		what()
	case *actor.MessageEnvelope:
		f.do(what.Message)
	default:
		f.add("%v", what)
	}
}

func (f *fake) InvokeUserMessage(msg any) { f.do(msg) }

func (f *fake) InvokeSystemMessage(msg any) {
	switch msg.(type) {
	case *actor.Started:
		f.add("started")
	case *actor.Stop:
		f.add("stop")
	default:
		f.do(msg)
	}
}

func (f *fake) EscalateFailure(reason, msg any) {
	f.add("failure(%v)", reason)
	if f.onFailure != nil {
		f.onFailure(reason, msg.(Failed).Message)
	}
}

func (f *fake) Turn(n *Node)                 { f.do(n.Value()) }
func (f *fake) Refuse(_ *Node, reason error) { f.add("refuse(%v)", reason) }

func (f *fake) After() {
	f.add("after")
	if f.onAfter != nil {
		f.onAfter()
	}
}

func (f *fake) Schedule(fn func()) { f.scheduled = append(f.scheduled, fn) }
func (f *fake) Throughput() int    { return 1 }

// run runs what was scheduled, each on a goroutine of its own, and returns how many.
func (f *fake) run() int {
	n := 0
	for ; len(f.scheduled) > 0; n++ {
		fn := f.scheduled[0]
		f.scheduled = f.scheduled[1:]
		onGoroutine(fn)
	}
	return n
}

// stats is m.Stats for a mailbox whose goroutines run when f says.
func (f *fake) stats(m *Combining) Stats {
	reply := make(chan Stats, 1)
	m.PostSystemMessage(statsRequest{reply})
	f.run()
	return <-reply
}

// onGoroutine runs f on another goroutine, and returns when that has ended, however.
func onGoroutine(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

func node(v any) *Node {
	n := &Node{}
	n.Init(v)
	return n
}

func post(t *testing.T, m *Combining, v any, lane Lane) {
	t.Helper()
	if err := m.Post(node(v), lane); err != nil {
		t.Errorf("posting %v: %v", v, err)
	}
}

// urgent is a message that chooses its lane.
type urgent string

func (urgent) Lane() Lane { return Urgent }

func both(t *testing.T, f func(t *testing.T, inline bool)) {
	t.Helper()
	t.Run("inline", func(t *testing.T) { f(t, true) })
	t.Run("goroutine", func(t *testing.T) { f(t, false) })
}

// world is an actor system in a bubble, and what its actors noted.
type world struct {
	log
	t      *testing.T
	system *actor.ActorSystem
	props  []actor.PropsOption // of subjects: they have a Combining mailbox
	config Config
	broken atomic.Bool // the logger panics
}

// worlds runs f in fake time, once with every mailbox that there is: what it checks is the
// contract of them all.
//
//bulwark:bubble
func worlds(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	both(t, func(t *testing.T, inline bool) { oneWorld(t, Config{Inline: inline}, f) })
	worldsOfNew(t, f)
}

// every names options of each kind, and some together, that must not change what a mailbox
// does that is neither full nor overloaded.
var every = map[string][]Option{
	"plain":        {},
	"plain inline": {Inline()},
	"shelf":        {OnFull(DropOldest)},
	"all of it": {
		Capacity(1000), OnFull(DropLowest), Lanes(func(any) int { panic("no lane") }), Cost(1000, func(any) int64 { return 1 }),
		Sojourn(24 * time.Hour), TTL(24 * time.Hour), CoDel(time.Hour, 24*time.Hour), NewestFirst(), WaterMarks(0, 3),
		Protect(func(any) bool { return false }),
	},
	"all of it inline": {
		Capacity(1000), OnFull(Block), Lanes(func(any) int { return 5 }), Cost(1000, func(any) int64 { return -1 }),
		Sojourn(24 * time.Hour), TTL(24 * time.Hour), CoDel(time.Hour, 24*time.Hour), NewestFirst(), WaterMarks(0, 3), Inline(),
	},
}

// userWorld is a world whose subjects have a mailbox of New.
//
//bulwark:bubble
func userWorld(t *testing.T, f func(t *testing.T, w *world), opts ...Option) {
	t.Helper()
	oneWorld(t, Config{}, func(t *testing.T, w *world) {
		w.props = []actor.PropsOption{actor.WithMailbox(MustNew(opts...))}
		f(t, w)
	})
}

//bulwark:bubble
func oneWorld(t *testing.T, cfg Config, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, config: cfg}
		w.system = quietSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(w) }))
		w.props = []actor.PropsOption{actor.WithMailbox(func() actor.Mailbox { return NewCombining(w.config) })}
		f(t, w)
		synctest.Wait()
		w.system.Shutdown()
		time.Sleep(2 * w.system.Config.DeadLetterThrottleInterval)
	})
}

// Enabled and its like make a world the handler of its system's log.
func (w *world) Enabled(context.Context, slog.Level) bool { return true }
func (w *world) WithAttrs([]slog.Attr) slog.Handler       { return w }
func (w *world) WithGroup(string) slog.Handler            { return w }
func (w *world) Handle(context.Context, slog.Record) error {
	if w.broken.Load() {
		panic("the logger is broken")
	}
	return nil
}

func quietSystem(opts ...actor.ConfigOption) *actor.ActorSystem {
	return actor.NewActorSystem(append([]actor.ConfigOption{
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }),
		actor.WithDeadLetterThrottleInterval(time.Millisecond),
	}, opts...)...)
}

// settled waits until nothing moves and compares what was noted since the last time.
func (w *world) settled(want string) {
	w.t.Helper()
	synctest.Wait()
	w.want(w.t, want)
}

// What a subject understands, beside strings, which it notes, and funcs, which it runs.
type (
	echo string   // answers with the same
	fail struct{} // panics
	exit struct{} // exits the goroutine
)

// subject is an actor with a Combining mailbox. behaviour says what it does on a
// lifecycle message: "panic" or "exit".
func (w *world) subject(name string, behaviour map[string]string, opts ...actor.PropsOption) *actor.Props {
	return actor.PropsFromFunc(func(c actor.Context) {
		life := ""
		switch msg := c.Message().(type) {
		case *actor.Started:
			life = "started"
		case *actor.Stopping:
			life = "stopping"
		case *actor.Stopped:
			life = "stopped"
		case *actor.Restarting:
			life = "restarting"
		case *actor.ReceiveTimeout:
			life = "timeout"
		case *actor.Terminated:
			life = "terminated(" + msg.Who.Id + ")"
		case string:
			w.add("%s:%s", name, msg)
		case urgent:
			w.add("%s:%s", name, string(msg))
		case echo:
			c.Respond(msg)
		case fail:
			panic("ouch")
		case exit:
			exitGoroutine()
		case func(c actor.Context):
			msg(c)
		case urgentFunc:
			msg(c)
		}
		if life == "" {
			return
		}
		w.add("%s:%s", name, life)
		switch behaviour[life] {
		case "panic":
			panic("ouch")
		case "exit":
			exitGoroutine()
		}
	}, append(slices.Clone(w.props), opts...)...)
}

func (w *world) spawn(props *actor.Props, name string) *actor.PID {
	w.t.Helper()
	pid, err := w.system.Root.SpawnNamed(props, name)
	if err != nil {
		w.t.Fatal(err)
	}
	return pid
}

func (w *world) send(pid *actor.PID, msg any) { w.system.Root.Send(pid, msg) }

func (w *world) ask(pid *actor.PID, msg any) *actor.Future {
	return w.system.Root.RequestFuture(pid, msg, time.Hour)
}

// refused checks that f is answered at once, and that it was for reason.
func (w *world) refused(f *actor.Future, reason error) {
	w.t.Helper()
	before := time.Now()
	res, err := f.Result()
	if u, ok := res.(Undelivered); err != nil || !ok || !errors.Is(u, reason) {
		w.t.Errorf("answered (%v, %v), want that it was undelivered: %v", res, err, reason)
	}
	w.atOnce(before)
}

func (w *world) atOnce(before time.Time) {
	w.t.Helper()
	if waited := time.Since(before); waited != 0 {
		w.t.Errorf("that took %v", waited)
	}
}

// answered checks that f has result want, and has it at once.
func (w *world) answered(f *actor.Future, want any) {
	w.t.Helper()
	before := time.Now()
	if res, err := f.Result(); err != nil || res != want {
		w.t.Errorf("answered (%v, %v), want %v", res, err, want)
	}
	w.atOnce(before)
}

// stops stops pid and checks that those who watch it are told at once.
func (w *world) stops(pid *actor.PID) {
	w.t.Helper()
	before := time.Now()
	if err := w.system.Root.StopFuture(pid).Wait(); err != nil {
		w.t.Errorf("stopping: %v", err)
	}
	w.atOnce(before)
}

// child makes the subject parent spawn an actor, whose name is that of its subject.
func (w *world) child(parent *actor.PID, props *actor.Props) *actor.PID {
	w.t.Helper()
	spawned := make(chan *actor.PID, 1)
	w.send(parent, func(c actor.Context) {
		pid, err := c.SpawnNamed(props, fmt.Sprint("c", len(c.Children())+1))
		if err != nil {
			w.t.Error(err)
		}
		spawned <- pid
	})
	return <-spawned
}

// seen waits until nothing moves and checks that all of lines, and nothing else, were
// noted, in whatever order.
func (w *world) seen(lines ...string) {
	w.t.Helper()
	synctest.Wait()
	got := strings.Fields(w.take())
	slices.Sort(got)
	slices.Sort(lines)
	if !slices.Equal(got, lines) {
		w.t.Errorf("noted %q, want %q", got, lines)
	}
}
