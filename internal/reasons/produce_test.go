package reasons

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/adaptive"
	"github.com/bulwark-go/bulwark/patterns/backpressure"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/loadshedder"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
	"github.com/bulwark-go/bulwark/patterns/timeout"
)

const ms = time.Millisecond

var errBank = errors.New("the bank failed")

// stage is where a guard is brought to refuse.
type stage struct {
	*testing.T
	guards *actors.Registry
	held   []patterns.Permit
	waits  sync.WaitGroup
	leave  []context.CancelFunc
}

// finish lets everybody go who was held up.
func (s *stage) finish() {
	for _, leave := range s.leave {
		leave()
	}
	s.waits.Wait()
	for _, p := range s.held {
		p.Release()
	}
}

// spawn starts the guard of a stage.
func spawn[C any, G patterns.Guard](s *stage, with func(*actors.Registry, string, C, ...actors.Option) (G, error), c C) G {
	s.Helper()
	g, err := with(s.guards, "guard", c)
	if err != nil {
		s.Fatal(err)
	}
	return g
}

// hold takes n permits and keeps them.
func (s *stage) hold(g patterns.Guard, n int) {
	s.Helper()
	for range n {
		p, err := g.Acquire(s.Context())
		if err != nil {
			s.Fatal(err)
		}
		s.held = append(s.held, p)
	}
}

// wait has n callers wait, for r.
//
//bulwark:bubble
func (s *stage) wait(g patterns.Guard, n int, r patterns.Request) {
	ctx, leave := context.WithCancel(context.Background())
	s.leave = append(s.leave, leave)
	for range n {
		s.waits.Go(func() {
			if p, err := g.AcquireFor(ctx, r); err == nil {
				p.Release()
			}
		})
		synctest.Wait()
	}
}

// ask returns the refusal of one more.
func (s *stage) ask(g patterns.Guard, r patterns.Request) error {
	p, err := g.AcquireFor(s.Context(), r)
	if err == nil {
		s.held = append(s.held, p)
	}
	return err
}

// askBy is ask for a caller that waits for so long.
func (s *stage) askBy(g patterns.Guard, d time.Duration) error {
	ctx, cancel := context.WithTimeout(s.Context(), d)
	defer cancel()
	_, err := g.Acquire(ctx)
	return err
}

// call makes a call that takes so long and returns err.
//
//bulwark:bubble
func (s *stage) call(g patterns.Guard, takes time.Duration, err error) error {
	return patterns.Run(s.Context(), g, func(context.Context) error { time.Sleep(takes); return err })
}

// until makes attempts until one is refused for code.
func (s *stage) until(code string, codeOf func(error) (string, bool), attempt func(i int) error) error {
	for i := range 5000 {
		err := attempt(i)
		if c, ok := codeOf(err); ok && c == code {
			return err
		}
	}
	s.Fatalf("never refused for %s", code)
	return nil
}

func limitCode(err error) (string, bool) {
	e, ok := errors.AsType[*adaptive.LimitError](err)
	if !ok {
		return "", false
	}
	return string(e.Cause), true
}

func shedCode(err error) (string, bool) {
	e, ok := errors.AsType[*loadshedder.ShedError](err)
	if !ok {
		return "", false
	}
	return string(e.Cause), true
}

// of is a codeOf for a type without a Cause.
func of[E error](code string) func(error) (string, bool) {
	return func(err error) (string, bool) {
		_, ok := errors.AsType[E](err)
		return code, ok
	}
}

func reasons() (all []reason) {
	for _, some := range [][]reason{
		ofBreaker(), ofBulkhead(), ofValve(), ofLimiter(), ofShedder(), ofAdaptive(), ofOthers(), ofActors(),
	} {
		all = append(all, some...)
	}
	return all
}

//bulwark:bubble
func ofBreaker() []reason {
	codeOf := func(err error) (string, bool) {
		e, ok := errors.AsType[*circuitbreaker.OpenError](err)
		if !ok {
			return "", false
		}
		return string(e.Cause), true
	}
	type config = circuitbreaker.Config
	row := func(code string, after bool, produce func(s *stage) error) reason {
		event := "cause=" + code
		if code == "probes-out" || code == "ramp" {
			event = "" // of these there may be very many
		}
		return reason{"circuitbreaker", code, circuitbreaker.ErrOpen, codeOf, after, event, produce}
	}
	// opened is a breaker that has just gone half-open.
	opened := func(s *stage, c config) *circuitbreaker.Breaker {
		c.ConsecutiveFailures, c.OpenFor = 1, time.Second
		b := spawn(s, circuitbreaker.Spawn, c)
		_ = s.call(b, 0, errBank)
		time.Sleep(2 * time.Second)
		return b
	}
	return []reason{
		row("consecutive-failures", true, func(s *stage) error {
			b := spawn(s, circuitbreaker.Spawn, config{ConsecutiveFailures: 1})
			_ = s.call(b, 0, errBank)
			return s.ask(b, patterns.Request{})
		}),
		row("failure-ratio", true, func(s *stage) error {
			b := spawn(s, circuitbreaker.Spawn, config{FailureRatio: 0.5, MinSamples: 1, Window: circuitbreaker.Last(10)})
			_ = s.call(b, 0, errBank)
			return s.ask(b, patterns.Request{})
		}),
		row("slow-ratio", true, func(s *stage) error {
			b := spawn(s, circuitbreaker.Spawn, config{SlowRatio: 0.5, SlowCall: time.Second, MinSamples: 1, Window: circuitbreaker.Last(10)})
			_ = s.call(b, 2*time.Second, nil)
			return s.ask(b, patterns.Request{})
		}),
		row("probe-failed", true, func(s *stage) error {
			b := opened(s, config{})
			_ = s.call(b, 0, errBank)
			return s.ask(b, patterns.Request{})
		}),
		row("probe-slow", true, func(s *stage) error {
			b := opened(s, config{SlowRatio: 0.5, SlowCall: time.Second, Probes: 1, Window: circuitbreaker.Last(10)})
			_ = s.call(b, 2*time.Second, nil)
			return s.ask(b, patterns.Request{})
		}),
		row("probe-lost", true, func(s *stage) error {
			b := opened(s, config{ProbeTimeout: time.Second, Probes: 1})
			s.hold(b, 1)
			time.Sleep(1100 * ms)
			return s.ask(b, patterns.Request{})
		}),
		row("probes-out", true, func(s *stage) error {
			b := opened(s, config{Probes: 1, ProbeTimeout: time.Minute})
			s.hold(b, 1)
			return s.ask(b, patterns.Request{})
		}),
		row("ramp", false, func(s *stage) error {
			b := opened(s, config{Probes: 1, RampFor: time.Minute})
			_ = s.call(b, 0, nil)
			return s.until("ramp", codeOf, func(int) error { return s.ask(b, patterns.Request{}) })
		}),
		row("forced", true, func(s *stage) error {
			b := spawn(s, circuitbreaker.Spawn, config{})
			_ = b.ForceOpen(s.Context(), time.Minute, "")
			return s.ask(b, patterns.Request{})
		}),
	}
}

func ofBulkhead() []reason {
	codeOf := func(err error) (string, bool) {
		e, ok := errors.AsType[*bulkhead.FullError](err)
		if !ok {
			return "", false
		}
		return string(e.Cause), true
	}
	full := func(s *stage, c bulkhead.Config) patterns.Guard {
		c.MaxConcurrent = 1
		b := spawn(s, bulkhead.Spawn, c)
		s.hold(b, 1)
		return b
	}
	row := func(code string, produce func(s *stage) error) reason {
		return reason{"bulkhead", code, bulkhead.ErrFull, codeOf, false, "saturated", produce}
	}
	return []reason{
		row("slots", func(s *stage) error { return s.ask(full(s, bulkhead.Config{}), patterns.Request{NoWait: true}) }),
		row("queue", func(s *stage) error {
			b := full(s, bulkhead.Config{MaxWaiting: 1})
			s.wait(b, 1, patterns.Request{})
			return s.ask(b, patterns.Request{})
		}),
		row("max-wait", func(s *stage) error {
			return s.ask(full(s, bulkhead.Config{MaxWaiting: 1, MaxWait: time.Second}), patterns.Request{})
		}),
		row("waiters", func(s *stage) error {
			b := full(s, bulkhead.Config{MaxWaiting: 1})
			s.wait(b, 1, patterns.Request{})
			return s.ask(b, patterns.Request{NoWait: true})
		}),
		{"bulkhead", "partitions", bulkhead.ErrFull, codeOf, false, "", func(s *stage) error {
			b := spawn(s, bulkhead.Spawn, bulkhead.Config{MaxPartitions: 1})
			_ = s.ask(b, patterns.Request{Key: "a"})
			return s.ask(b, patterns.Request{Key: "b"})
		}},
		{"bulkhead", "weight", patterns.ErrInvalidRequest, of[*bulkhead.WeightError]("weight"), false, "", func(s *stage) error {
			return s.ask(spawn(s, bulkhead.Spawn, bulkhead.Config{MaxConcurrent: 1}), patterns.Request{Weight: 2})
		}},
		{"bulkhead", "key", patterns.ErrInvalidRequest, of[*bulkhead.KeyError]("key"), false, "", func(s *stage) error {
			b := spawn(s, bulkhead.Spawn, bulkhead.Config{MaxPartitions: 1})
			return s.ask(b, patterns.Request{Key: strings.Repeat("k", bulkhead.MaxKey+1)})
		}},
	}
}

func ofValve() []reason {
	codeOf := func(err error) (string, bool) {
		e, ok := errors.AsType[*backpressure.PressureError](err)
		if !ok {
			return "", false
		}
		return string(e.Cause), true
	}
	row := func(code string, waiting int, r patterns.Request) reason {
		return reason{"backpressure", code, backpressure.ErrPressure, codeOf, false, "event=pressure", func(s *stage) error {
			v := spawn(s, backpressure.Spawn, backpressure.Config{MaxPending: 1, MaxWaiting: 1})
			s.hold(v, 1)
			s.wait(v, waiting, patterns.Request{})
			return s.ask(v, r)
		}}
	}
	return []reason{
		row("hot", 0, patterns.Request{NoWait: true}),
		row("queue", 1, patterns.Request{}),
		row("waiters", 1, patterns.Request{NoWait: true}),
		{"backpressure", "weight", patterns.ErrInvalidRequest, of[*backpressure.WeightError]("weight"), false, "", func(s *stage) error {
			return s.ask(spawn(s, backpressure.Spawn, backpressure.Config{MaxPending: 1}), patterns.Request{Weight: 2})
		}},
	}
}

func ofLimiter() []reason {
	codeOf := func(err error) (string, bool) {
		e, ok := errors.AsType[*ratelimiter.LimitError](err)
		if !ok {
			return "", false
		}
		return string(e.Cause), true
	}
	row := func(code string, produce func(s *stage) error) reason {
		return reason{"ratelimiter", code, ratelimiter.ErrLimited, codeOf, true, "", produce}
	}
	spent := func(s *stage, c ratelimiter.Config) *ratelimiter.Limiter {
		c.Rate, c.MaxKeys = ratelimiter.MustParse("1/minute"), ratelimiter.NoKeys
		l := spawn(s, ratelimiter.Spawn, c)
		s.hold(l, 1)
		return l
	}
	rate := row("rate", func(s *stage) error { return s.ask(spent(s, ratelimiter.Config{}), patterns.Request{}) })
	rate.event = "event=limited"
	forced := row("forced", func(s *stage) error {
		l := spawn(s, ratelimiter.Spawn, ratelimiter.Config{Rate: ratelimiter.MustParse("1/minute")})
		_ = l.Operate(s.Context(), patterns.Operation{Kind: patterns.ForceOpen, For: time.Minute})
		return s.ask(l, patterns.Request{})
	})
	forced.event = "cause=forced"
	return []reason{
		rate, forced,
		row("max-wait", func(s *stage) error {
			return s.ask(spent(s, ratelimiter.Config{MaxWaiting: 1, MaxWait: time.Second}), patterns.Request{})
		}),
		row("queue", func(s *stage) error {
			l := spent(s, ratelimiter.Config{MaxWaiting: 1})
			s.wait(l, 1, patterns.Request{})
			return s.ask(l, patterns.Request{})
		}),
		row("waiters", func(s *stage) error {
			l := spent(s, ratelimiter.Config{MaxWaiting: 1})
			s.wait(l, 1, patterns.Request{})
			return s.ask(l, patterns.Request{NoWait: true})
		}),
		row("overflow", func(s *stage) error {
			l := spawn(s, ratelimiter.Spawn, ratelimiter.Config{Rate: ratelimiter.MustParse("1/hour"), MaxKeys: 1})
			return s.until("overflow", codeOf, func(i int) error { return s.ask(l, patterns.Request{Key: strings.Repeat("k", i%100+1)}) })
		}),
		{"ratelimiter", "weight", patterns.ErrInvalidRequest, of[*ratelimiter.WeightError]("weight"), false, "", func(s *stage) error {
			return s.ask(spawn(s, ratelimiter.Spawn, ratelimiter.Config{Rate: ratelimiter.MustParse("1/minute")}), patterns.Request{Weight: 2})
		}},
	}
}

//bulwark:bubble
func ofShedder() []reason {
	type config = loadshedder.Config
	shedder := func(s *stage, c config) *loadshedder.Shedder {
		c.SampleInterval = loadshedder.Off // it sees what it is told
		return spawn(s, loadshedder.Spawn, c)
	}
	row := func(code string, produce func(s *stage) error) reason {
		return reason{"loadshedder", code, loadshedder.ErrShed, shedCode, false, "cause=" + code, produce}
	}
	full := func(s *stage, c config) *loadshedder.Shedder {
		c.MaxInFlight = 1
		l := shedder(s, c)
		s.hold(l, 1)
		return l
	}
	measured := func(code string, signal loadshedder.Signal, value float64, c config) reason {
		return row(code, func(s *stage) error {
			l := shedder(s, c)
			return s.until(code, shedCode, func(i int) error {
				if err := l.Observe(s.Context(), loadshedder.Reading{Signal: signal, Value: value}); err != nil {
					s.Fatal(err)
				}
				time.Sleep(20 * ms)
				return s.ask(l, patterns.Request{Priority: patterns.Background, NoWait: true})
			})
		})
	}
	return []reason{
		row("in-flight", func(s *stage) error {
			return s.ask(full(s, config{MaxQueue: loadshedder.NoQueue}), patterns.Request{})
		}),
		row("queue", func(s *stage) error {
			l := full(s, config{MaxQueue: 1})
			s.wait(l, 1, patterns.Request{})
			return s.ask(l, patterns.Request{})
		}),
		row("max-wait", func(s *stage) error { return s.ask(full(s, config{MaxWait: time.Second}), patterns.Request{}) }),
		row("deadline", func(s *stage) error {
			l := shedder(s, config{MaxInFlight: 1})
			for range 10 { // so that it knows what calls take
				_ = s.call(l, time.Second, nil)
			}
			s.hold(l, 1)
			return s.until("deadline", shedCode, func(int) error { return s.askBy(l, 100*ms) })
		}),
		row("queue-delay", func(s *stage) error {
			l := shedder(s, config{MaxInFlight: 1})
			refused := make(chan error, 10_000)
			for range 400 {
				s.waits.Go(func() {
					if err := s.call(l, 3*ms, nil); err != nil {
						refused <- err
					}
				})
			}
			s.waits.Wait()
			return s.until("queue-delay", shedCode, func(int) error {
				select {
				case err := <-refused:
					return err
				default:
					return nil
				}
			})
		}),
		{"loadshedder", "priority", loadshedder.ErrShed, shedCode, false, "event=shedding", func(s *stage) error {
			l := shedder(s, config{MaxInFlight: 10, MaxQueue: loadshedder.NoQueue})
			return s.until("priority", shedCode, func(i int) error {
				if i%20 == 0 {
					for _, p := range s.held[min(1, len(s.held)):] {
						p.Release()
					}
					s.held = s.held[:min(1, len(s.held))]
					time.Sleep(5 * ms)
				}
				return s.ask(l, patterns.Request{Priority: []patterns.Priority{patterns.High, patterns.Background}[i%2]})
			})
		}},
		measured("cpu", loadshedder.CPU, 1, config{}),
		measured("memory", loadshedder.Memory, 1, config{}),
		measured("scheduling-latency", loadshedder.SchedulingLatency, 1, config{SchedulingLatency: 10 * ms}),
		measured("gc", loadshedder.GC, 1, config{GC: 0.1}),
		row("throttle", func(s *stage) error {
			l := shedder(s, config{Throttle: 1.1})
			return s.until("throttle", shedCode, func(int) error {
				time.Sleep(ms)
				p, err := l.AcquireFor(s.Context(), patterns.Request{Priority: patterns.Background})
				p.Report(patterns.Dropped)
				return err
			})
		}),
		row("forced", func(s *stage) error {
			l := shedder(s, config{})
			_ = l.Operate(s.Context(), patterns.Operation{Kind: patterns.ForceOpen})
			return s.ask(l, patterns.Request{})
		}),
		{"loadshedder", "weight", patterns.ErrInvalidRequest, of[*loadshedder.WeightError]("weight"), false, "", func(s *stage) error {
			return s.ask(shedder(s, config{MaxInFlight: 1}), patterns.Request{Weight: 2})
		}},
	}
}

//bulwark:bubble
func ofAdaptive() []reason {
	type config = adaptive.Config
	row := func(code string, produce func(s *stage) error) reason {
		return reason{"adaptive", code, adaptive.ErrLimit, limitCode, false, "", produce}
	}
	full := func(s *stage, c config) *adaptive.Limiter {
		c.Initial, c.Min, c.Max = 1, 1, 2
		l := spawn(s, adaptive.Spawn, c)
		s.hold(l, 1)
		return l
	}
	// scarce is a limiter that two kinds of callers want more of than there is.
	scarce := func(s *stage, code string, c config, kinds ...patterns.Request) error {
		c.Initial, c.Min, c.Max = 10, 10, 11
		l := spawn(s, adaptive.Spawn, c)
		return s.until(code, limitCode, func(i int) error {
			if i%20 == 0 {
				for _, p := range s.held[min(len(s.held), 5):] {
					p.Release()
				}
				s.held = s.held[:min(len(s.held), 5)]
				time.Sleep(5 * ms)
			}
			return s.ask(l, kinds[i%len(kinds)])
		})
	}
	forced := row("forced", func(s *stage) error {
		l := spawn(s, adaptive.Spawn, config{})
		_ = l.ForceOpen(s.Context(), time.Minute, "")
		return s.ask(l, patterns.Request{})
	})
	forced.event = "cause=forced"
	return []reason{
		forced,
		row("limit", func(s *stage) error { return s.ask(full(s, config{}), patterns.Request{}) }),
		row("priority", func(s *stage) error {
			return scarce(s, "priority", config{}, patterns.Request{Priority: patterns.High}, patterns.Request{Priority: patterns.Background})
		}),
		row("share", func(s *stage) error {
			return scarce(s, "share", config{Fair: true}, patterns.Request{Key: "noisy"}, patterns.Request{Key: "noisy"}, patterns.Request{Key: "quiet"})
		}),
		row("queue", func(s *stage) error {
			l := full(s, config{MaxWaiting: 1})
			s.wait(l, 1, patterns.Request{})
			return s.ask(l, patterns.Request{})
		}),
		row("crowd", func(s *stage) error {
			l := full(s, config{MaxWaiting: 100, RefuseFrom: 1, RefuseAll: 2})
			s.wait(l, 3, patterns.Request{})
			return s.ask(l, patterns.Request{Priority: patterns.Background})
		}),
		row("waiters", func(s *stage) error {
			l := full(s, config{MaxWaiting: 1})
			s.wait(l, 1, patterns.Request{})
			return s.ask(l, patterns.Request{NoWait: true})
		}),
		row("max-wait", func(s *stage) error {
			return s.ask(full(s, config{MaxWaiting: 1, MaxWait: time.Second}), patterns.Request{})
		}),
		row("sojourn", func(s *stage) error {
			l := full(s, config{MaxWaiting: 10, Queue: adaptive.CoDel})
			s.wait(l, 3, patterns.Request{})
			return s.ask(l, patterns.Request{})
		}),
		row("deadline", func(s *stage) error {
			l := spawn(s, adaptive.Spawn, config{Initial: 1, Min: 1, Max: 2, MaxWaiting: 10})
			for range 30 { // so that it knows what calls take
				_ = s.call(l, time.Second, nil)
			}
			s.hold(l, 2)
			return s.until("deadline", limitCode, func(int) error { return s.askBy(l, 10*ms) })
		}),
		row("weight", func(s *stage) error { return s.ask(full(s, config{MaxWaiting: 1}), patterns.Request{Weight: 3}) }),
	}
}

//bulwark:bubble
func ofOthers() []reason {
	return []reason{
		{"timeout", "abandoned", timeout.ErrAbandoned, of[*timeout.AbandonedError]("abandoned"), false, "event=timed-out", func(s *stage) error {
			limit := spawn(s, timeout.Spawn, timeout.Config{PerAttempt: time.Second, Abandon: true, MaxAbandoned: 1})
			done := make(chan struct{})
			s.leave = append(s.leave, func() { close(done) })
			_ = patterns.Run(s.Context(), limit, func(context.Context) error { <-done; return nil })
			synctest.Wait()
			return s.call(limit, 0, nil)
		}},
		{"pipeline", "spend", patterns.ErrInvalidRequest, of[*pipeline.SpendError]("spend"), false, "", func(s *stage) error {
			l := spawn(s, ratelimiter.Spawn, ratelimiter.Config{Rate: ratelimiter.MustParse("1/minute")})
			other, err := bulkhead.Spawn(s.guards, "other", bulkhead.Config{})
			if err != nil {
				s.Fatal(err)
			}
			p, err := pipeline.New("p", l, other)
			if err != nil {
				s.Fatal(err)
			}
			return s.ask(p, patterns.Request{Spend: true})
		}},
	}
}

// ofActors are the reasons of a guard's actor, whatever its pattern.
//
//bulwark:bubble
func ofActors() []reason {
	row := func(code string, sentinel error, event string, produce func(s *stage, b *bulkhead.Bulkhead) error) reason {
		return reason{"actors", code, sentinel, of[*actors.Refusal](code), false, event, func(s *stage) error {
			return produce(s, spawn(s, bulkhead.Spawn, bulkhead.Config{MaxConcurrent: 1, MaxWaiting: 1, OnFailure: patterns.FailClosed}))
		}}
	}
	return []reason{
		row("stopped", actors.ErrStopped, "event=stopped", func(s *stage, b *bulkhead.Bulkhead) error {
			_ = b.Stop(s.Context())
			return s.ask(b, patterns.Request{})
		}),
		row("unavailable", actors.ErrUnavailable, "event=gave-up", func(s *stage, b *bulkhead.Bulkhead) error {
			actorstest.Crash(s, b, actorstest.At(actors.Operate{}), actorstest.Times(1000))
			for range 20 {
				_ = b.Reset(s.Context())
				synctest.Wait()
			}
			return s.ask(b, patterns.Request{})
		}),
		row("failed", actors.ErrFailed, "event=restarted", func(s *stage, b *bulkhead.Bulkhead) error {
			actorstest.Crash(s, b, actorstest.At(actors.Acquire{}))
			return s.ask(b, patterns.Request{})
		}),
		row("invalid", patterns.ErrInvalidRequest, "", func(s *stage, b *bulkhead.Bulkhead) error {
			return s.ask(b, patterns.Request{Weight: -1})
		}),
		row("expired", actors.ErrExpired, "", func(s *stage, b *bulkhead.Bulkhead) error {
			return s.message(b, actors.Acquire{Deadline: time.Now().Add(-time.Second)})
		}),
	}
}

// message asks as an actor does.
func (s *stage) message(g *bulkhead.Bulkhead, msg actors.Acquire) error {
	reply, err := actors.Ask[any](s.Context(), s.guards.System(), g.PID(), msg)
	if refused, ok := reply.(actors.Rejected); ok {
		return refused.Err
	}
	return err
}
