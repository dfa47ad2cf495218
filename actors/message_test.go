package actors_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/mailbox"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

func TestTheProtocolFromAnActor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		b, err := circuitbreaker.Spawn(guards, "b", circuitbreaker.Config{ConsecutiveFailures: 1})
		if err != nil {
			t.Fatal(err)
		}
		replies := make(chan any, 10)
		pid := guards.System().Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			switch msg := c.Message().(type) {
			case *actor.Started:
				c.Request(b.PID(), actors.Acquire{Ref: 5, Holder: c.Self()})
			case actors.Granted:
				replies <- msg
				c.Send(b.PID(), actors.Report{Permit: msg.Permit, Outcome: patterns.Failure})
				c.Request(b.PID(), actors.Inspect{})
			case circuitbreaker.Snapshot:
				replies <- msg
				c.Request(b.PID(), actors.Acquire{Ref: 6})
			case actors.Rejected:
				replies <- msg
				c.Request(b.PID(), actors.Operate{Operation: patterns.Operation{Kind: patterns.Reset}})
			case actors.Ack:
				replies <- msg
				c.Request(b.PID(), actors.Operate{Operation: patterns.Operation{Kind: 99}})
			case actors.Refused:
				replies <- msg
			}
		}))
		synctest.Wait()
		guards.System().Root.Stop(pid)
		if g := (<-replies).(actors.Granted); g.Ref != 5 || g.Permit.ID == 0 || g.Permit.Epoch != 1 {
			t.Errorf("%+v", g)
		}
		if s := (<-replies).(circuitbreaker.Snapshot); s.State != circuitbreaker.Open || s.Failure != 1 || s.InFlight != 0 {
			t.Errorf("%+v", s)
		}
		r := (<-replies).(actors.Rejected)
		if r.Ref != 6 || !errors.Is(r.Err, circuitbreaker.ErrOpen) || r.RetryAfter <= 0 {
			t.Errorf("%+v", r)
		}
		if _, ok := (<-replies).(actors.Ack); !ok {
			t.Error("not acknowledged")
		}
		if r := (<-replies).(actors.Refused); !errors.Is(r.Err, actors.ErrUnsupported) {
			t.Errorf("%+v", r)
		}
	})
}

func TestReconfigureByMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		s := spawnSem(t, guards, "sem", 1, 10)
		in := newInbox(t, guards.System())
		acquire(t, s, patterns.Request{})
		in.ask(s.PID(), actors.Acquire{Ref: 1})
		in.ask(s.PID(), actors.Reconfigure{Config: circuitbreaker.Config{}})
		if r := nextAs[actors.Refused](t, in); !errors.Is(r.Err, actors.ErrConfigType) {
			t.Errorf("%+v", r)
		}
		for _, config := range []any{nil, 5, &semConfig{Limit: 5}} {
			in.ask(s.PID(), actors.Reconfigure{Config: config})
			if r := nextAs[actors.Refused](t, in); !errors.Is(r.Err, actors.ErrConfigType) {
				t.Errorf("%T: %+v", config, r)
			}
		}
		in.ask(s.PID(), actors.Reconfigure{Config: semConfig{}})
		if r := nextAs[actors.Refused](t, in); !errors.Is(r.Err, errLimit) {
			t.Errorf("%+v", r)
		}
		if err := s.Reconfigure(t.Context(), semConfig{}); !errors.Is(err, errLimit) {
			t.Errorf("error %v", err)
		}
		if got := s.snapshot(t); got.Limit != 1 || got.Waiting != 1 {
			t.Errorf("%+v", got)
		}
		in.ask(s.PID(), actors.Reconfigure{Config: semConfig{Limit: 2}})
		// The room that this makes goes to whoever waits, before the reply.
		if g := nextAs[actors.Granted](t, in); g.Ref != 1 {
			t.Errorf("%+v", g)
		}
		nextAs[actors.Ack](t, in)
		if err := s.Operate(t.Context(), patterns.Operation{Kind: patterns.ForceOpen}); !errors.Is(err, actors.ErrUnsupported) {
			t.Errorf("error %v", err)
		}
	})
}

// logbook is a slog.Handler that keeps warnings.
type logbook struct {
	mu    sync.Mutex
	lines []string
	then  func() // runs at each, on the logger's goroutine
}

func (l *logbook) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }
func (l *logbook) WithAttrs([]slog.Attr) slog.Handler               { return l }
func (l *logbook) WithGroup(string) slog.Handler                    { return l }
func (l *logbook) Handle(_ context.Context, r slog.Record) error {
	line := r.Level.String() + " " + r.Message
	r.Attrs(func(a slog.Attr) bool { line += " " + a.Key + "=" + a.Value.Resolve().String(); return true })
	l.mu.Lock()
	l.lines = append(l.lines, line)
	l.mu.Unlock()
	if l.then != nil {
		l.then()
	}
	return nil
}

func (l *logbook) all() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

func TestWhatAGuardDoesNotUnderstandIsCountedAndLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logbook{}
		guards := actorstest.NewRegistry(t, actors.WithLogger(slog.New(log)))
		s := spawnSem(t, guards, "sem", 1, 10)
		root := guards.System().Root
		root.Send(s.PID(), "what?")
		root.Send(s.PID(), &actors.Acquire{}) // a pointer is no message of the protocol
		root.Send(s.PID(), actors.Acquire{})  // nobody to answer
		root.Send(s.PID(), actors.Cancel{Ref: 1})
		synctest.Wait()
		if got := s.snapshot(t); got.Unknown != 4 || got.Asked != 0 || got.InFlight != 0 {
			t.Errorf("%+v", got)
		}
		for _, want := range []string{"WARN", "guard=sem", "type=string", "*actors.Acquire", "without a sender"} {
			if !strings.Contains(log.all(), want) {
				t.Errorf("%q is not in the log:\n%s", want, log.all())
			}
		}
	})
}

// A logger is foreign code: it may call back into the guard that it hears of.
func TestALoggerThatCallsTheGuardHangsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &logbook{}
		guards := actorstest.NewRegistry(t, actors.WithLogger(slog.New(log)))
		s := spawnSem(t, guards, "sem", 1, 10)
		log.then = func() {
			p, err := s.Acquire(context.Background())
			if err != nil {
				t.Error(err)
			}
			p.Release()
			panic("and it panics, too")
		}
		guards.System().Root.Send(s.PID(), "what?")
		synctest.Wait()
		if got := s.snapshot(t); got.Unknown != 1 || got.Granted != 1 || got.InFlight != 0 || got.Restarts != 0 {
			t.Errorf("%+v", got)
		}
	})
}

func TestReportsOfPermitsThatAreNotOutAreCountedAndChangeNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		s, other := spawnSem(t, guards, "sem", 10, 10), spawnSem(t, guards, "other", 10, 10)
		in := newInbox(t, guards.System())
		in.ask(s.PID(), actors.Acquire{})
		p := nextAs[actors.Granted](t, in).Permit
		var foreign patterns.PermitID
		for range 3 {
			in.ask(other.PID(), actors.Acquire{})
			foreign = nextAs[actors.Granted](t, in).Permit
		}
		bogus := []patterns.PermitID{{}, {ID: 1}, {ID: 1 << 32}, {ID: 1<<64 - 1}, {ID: 1 << 63}, {ID: 1<<63 | 1<<16}, foreign}
		for _, id := range bogus {
			in.ask(s.PID(), actors.Report{Permit: id})
		}
		for _, id := range bogus[1:] {
			in.ask(s.PID(), actors.Cancel{Permit: id})
		}
		wrongEpoch := p
		wrongEpoch.Epoch = 99 // the number alone identifies a permit
		in.ask(s.PID(), actors.Report{Permit: wrongEpoch, Outcome: 77})
		in.ask(s.PID(), actors.Report{Permit: p})
		in.ask(s.PID(), actors.Cancel{Permit: p})
		synctest.Wait()
		got := s.snapshot(t)
		if want := uint64(2*len(bogus) - 1 + 2); got.Repeated != want || got.InFlight != 0 || got.Used != 0 {
			t.Errorf("want %d repeated: %+v", want, got)
		}
		if got.Failure != 1 {
			t.Errorf("an outcome that is none is not a failure: %+v", got)
		}
		if got := other.snapshot(t); got.InFlight != 3 {
			t.Errorf("%+v", got)
		}
	})
}

func TestASpentPermitDoesNothing(t *testing.T) {
	guards := actorstest.NewRegistry(t)
	s := spawnSem(t, guards, "sem", 10, 10)
	p := acquire(t, s, patterns.Request{})
	double := p
	if !p.Report(patterns.Success) || p.Report(patterns.Success) {
		t.Error("a permit counts once")
	}
	p.Release()
	if double.Report(patterns.Success) {
		t.Error("its copy counts too")
	}
	double = acquire(t, s, patterns.Request{}) // the same slot, and another permit
	if got := s.snapshot(t); got.InFlight != 1 || got.Repeated != 1 {
		t.Errorf("%+v", got)
	}
	double.Release()
	double.Release()
	if double.Report(patterns.Success) {
		t.Error("reported after release")
	}
	if got := s.snapshot(t); got.InFlight != 0 || got.Reclaimed != 1 {
		t.Errorf("%+v", got)
	}
}

// A permit can outlive the number of times that its slot is reused only if the
// generations wrap around, which takes 2^31 permits.
func TestAnOldPermitNeverNamesANewOne(t *testing.T) {
	guards := actorstest.NewRegistry(t)
	s := spawnSem(t, guards, "sem", 1, 10)
	first := acquire(t, s, patterns.Request{})
	id := first.ID()
	first.Release()
	for range 1000 {
		p := acquire(t, s, patterns.Request{})
		if p.ID() == id {
			t.Fatal("the same ID again")
		}
		if s.Settle(id, 0, patterns.Success) {
			t.Fatal("the old ID counted")
		}
		p.Report(patterns.Success)
	}
}

func TestAStoppedGuardAnswersMessagesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		s := spawnSem(t, guards, "sem", 1, 10)
		in := newInbox(t, guards.System())
		waiting := newInbox(t, guards.System())
		p := acquire(t, s, patterns.Request{})
		waiting.ask(s.PID(), actors.Acquire{Ref: 3, Holder: waiting.pid})
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan error)
		go func() { stopped <- s.Stop(ctx) }()
		if r := nextAs[actors.Rejected](t, waiting); r.Ref != 3 || !errors.Is(r.Err, actors.ErrStopped) {
			t.Errorf("%+v", r)
		}
		in.ask(s.PID(), actors.Acquire{Ref: 4}) // it is stopping, because a permit is out
		if r := nextAs[actors.Rejected](t, in); r.Ref != 4 || !errors.Is(r.Err, actors.ErrStopped) {
			t.Errorf("%+v", r)
		}
		in.ask(s.PID(), actors.Inspect{})
		if got := nextAs[semSnapshot](t, in); got.InFlight != 1 {
			t.Errorf("%+v", got)
		}
		cancel()
		left, ok := errors.AsType[*actors.ShutdownError](<-stopped)
		if !ok || left.InFlight["sem"] != 1 || !errors.Is(left, context.Canceled) {
			t.Errorf("%v", left)
		}
		for _, msg := range []any{
			actors.Acquire{}, actors.Inspect{}, actors.Operate{}, actors.Reconfigure{}, actors.Report{}, actors.Cancel{}, "what?",
		} {
			in.ask(s.PID(), msg)
			switch m := in.next(t).(type) {
			case *actor.DeadLetterResponse, actors.Rejected, actors.Refused, mailbox.Undelivered:
			default:
				t.Errorf("%T is answered with %T", msg, m)
			}
		}
		if p.Report(patterns.Success) {
			t.Error("a report counted after the stop")
		}
	})
}

// What was queued behind a turn when the guard stopped is answered too.
func TestStoppingInTheMiddleOfTrafficAnswersEverybody(t *testing.T) {
	rounds := 30
	if soak {
		rounds = 3000
	}
	for range rounds {
		synctest.Test(t, func(t *testing.T) {
			guards := actorstest.NewRegistry(t)
			s := spawnSem(t, guards, "sem", 4, 1000)
			const callers, asks = 4, 200
			var wg sync.WaitGroup
			for range callers {
				in := newInbox(t, guards.System())
				wg.Go(func() {
					for i := range uint64(asks) {
						in.ask(s.PID(), actors.Acquire{Ref: i})
					}
					for range asks {
						if g, ok := in.next(t).(actors.Granted); ok {
							in.ask(s.PID(), actors.Report{Permit: g.Permit})
						}
					}
				})
				wg.Go(func() {
					for range asks {
						p, err := s.Acquire(t.Context())
						if err != nil && !errors.Is(err, actors.ErrStopped) {
							t.Error(err)
						}
						p.Report(patterns.Success)
					}
				})
			}
			if err := s.Stop(t.Context()); err != nil {
				t.Error(err)
			}
			wg.Wait()
		})
	}
}

// The handlers of an actor with a synchronous dispatcher run on the goroutine of
// whoever sends to it.
func TestASynchronousRequesterMayCallTheGuardFromItsHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		s := spawnSem(t, guards, "sem", 100, 10)
		var handled int
		done := make(chan struct{})
		pid := guards.System().Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			call := func() {
				p, err := s.Acquire(context.Background())
				if err != nil {
					t.Error(err)
				}
				p.Report(patterns.Success)
				s.Snapshot(context.Background())
			}
			switch msg := c.Message().(type) {
			case actors.Granted:
				call()
				c.Send(s.PID(), actors.Report{Permit: msg.Permit})
				if handled++; handled == 50 {
					close(done)
					return
				}
				c.Request(s.PID(), actors.Acquire{Holder: c.Self()})
			case actors.Rejected:
				call() // the guard's turn has panicked on what this answers
				close(done)
			}
		}, actor.WithDispatcher(actor.NewSynchronizedDispatcher(10))))
		guards.System().Root.RequestWithCustomSender(s.PID(), actors.Acquire{}, pid)
		<-done
		for _, at := range []actorstest.CrashOption{actorstest.At(actors.Acquire{}), actorstest.AfterDeciding(actors.Acquire{})} {
			done = make(chan struct{})
			actorstest.Crash(t, s, at)
			guards.System().Root.RequestWithCustomSender(s.PID(), actors.Acquire{}, pid)
			<-done
		}
		synctest.Wait()
		if got := s.snapshot(t); got.InFlight != 0 || got.Granted != 102 {
			t.Errorf("%+v", got)
		}
		if err := guards.System().Root.StopFuture(pid).Wait(); err != nil {
			t.Error(err)
		}
	})
}

// Watching is a message too, and must not run the holder inside of the guard's turn.
func TestASynchronousHolderMayCallTheGuardWhenItIsWatched(t *testing.T) {
	guards := actorstest.NewRegistry(t)
	s := spawnSem(t, guards, "sem", 1000, 1000)
	in := newInbox(t, guards.System())
	holder := guards.System().Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if _, ok := c.Message().(string); ok {
			p, err := s.Acquire(context.Background())
			if err != nil {
				t.Error(err)
			}
			p.Report(patterns.Success)
		}
	}, actor.WithDispatcher(actor.NewSynchronizedDispatcher(10))))
	var wg sync.WaitGroup
	const rounds = 5000
	wg.Go(func() {
		for range rounds {
			guards.System().Root.Send(holder, "go")
		}
	})
	for range rounds { // each watches, and lets go
		in.ask(s.PID(), actors.Acquire{Holder: holder})
		in.ask(s.PID(), actors.Report{Permit: nextAs[actors.Granted](t, in).Permit})
	}
	wg.Wait()
	guards.System().Root.Stop(holder)
}

func TestRepliesToOneActorKeepTheirOrder(t *testing.T) {
	guards := actorstest.NewRegistry(t)
	s := spawnSem(t, guards, "sem", 1<<20, 10)
	const asks = 2000
	var wg sync.WaitGroup
	for range 4 {
		in := newInbox(t, guards.System())
		wg.Go(func() {
			for i := range uint64(asks) {
				in.ask(s.PID(), actors.Acquire{Ref: i})
			}
		})
		wg.Go(func() {
			for i := range uint64(asks) {
				if g, ok := in.next(t).(actors.Granted); !ok || g.Ref != i {
					t.Errorf("reply %d is %+v", i, g)
					return
				}
			}
		})
	}
	wg.Wait()
	s.snapshot(t)
}

// The event stream runs its subscribers on whoever sends, so a reply to an actor that
// is gone runs foreign code.
func TestASubscriberThatPanicsAtADeadReplyHarmsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		s := spawnSem(t, guards, "sem", 2, 10)
		dead := newInbox(t, guards.System())
		dead.stop(t)
		sub := guards.System().EventStream.Subscribe(func(ev any) {
			if e, ok := ev.(*actor.DeadLetterEvent); ok {
				if _, granted := e.Message.(actors.Granted); granted {
					panic("foreign code")
				}
			}
		})
		dead.ask(s.PID(), actors.Acquire{})
		guards.System().EventStream.Unsubscribe(sub)
		in := newInbox(t, guards.System())
		in.ask(s.PID(), actors.Acquire{Ref: 2})
		if g := nextAs[actors.Granted](t, in); g.Ref != 2 {
			t.Errorf("%+v", g)
		}
	})
}
