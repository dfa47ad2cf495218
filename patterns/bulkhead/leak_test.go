package bulkhead

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"pgregory.net/rapid"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
)

// caller is somebody who asks for slots once, and how that ends.
type caller struct {
	after   time.Duration // that it begins
	request patterns.Request
	patient time.Duration // for how long its context lasts; 0 for ever
	takes   time.Duration
	ends    string
}

// stay is a random life of a bulkhead.
type stay struct {
	cfg     Config
	callers []caller
	resized time.Duration // when; 0 never
	to      int
	crash   any // what the actor is to panic at, once; nil never
}

func drawStay(t *rapid.T) stay {
	ms := func(most int, label string) time.Duration {
		return time.Duration(rapid.IntRange(0, most).Draw(t, label)) * time.Millisecond
	}
	l := stay{cfg: Config{MaxConcurrent: rapid.IntRange(1, 4).Draw(t, "slots"), MaxWaiting: rapid.IntRange(0, 3).Draw(t, "waiting")}}
	if l.cfg.MaxWaiting > 0 {
		l.cfg.MaxWait = ms(10, "max wait")
	}
	if rapid.Bool().Draw(t, "partitioned") {
		l.cfg.MaxPartitions = 2
	}
	if rapid.Bool().Draw(t, "leased") {
		l.cfg.MaxConcurrent += 16
		l.cfg.Mode = patterns.Leased(4, 5*time.Millisecond)
	}
	l.resized, l.to = ms(20, "resized"), rapid.IntRange(1, 20).Draw(t, "to")
	l.crash = rapid.SampledFrom([]any{nil, nil, actors.Acquire{}, actors.Report{}, actors.Cancel{}, actors.Inspect{}}).Draw(t, "crash")
	for range rapid.IntRange(1, 30).Draw(t, "callers") {
		l.callers = append(l.callers, caller{
			after: ms(20, "after"), patient: ms(15, "patient"), takes: ms(10, "takes"),
			request: patterns.Request{
				Weight: rapid.IntRange(0, 3).Draw(t, "weight"), Key: rapid.SampledFrom([]string{"", "", "a", "b", "c"}).Draw(t, "key"),
				Priority: rapid.SampledFrom([]patterns.Priority{0, 0, patterns.High}).Draw(t, "priority"),
				NoWait:   rapid.IntRange(0, 4).Draw(t, "no wait") == 0, HoldFor: ms(3, "hold for"),
			},
			ends: rapid.SampledFrom([]string{"returns", "fails", "panics", "exits", "reports", "releases", "forgets", "stops", "then"}).Draw(t, "ends"),
		})
	}
	return l
}

// plain is a guard of which Do asks for one of the caller's requests.
type plain struct {
	*Bulkhead
	request patterns.Request
}

func (p plain) Acquire(ctx context.Context) (patterns.Permit, error) {
	return p.AcquireFor(ctx, p.request)
}

// call asks, does its work, and ends as it will.
//
//bulwark:bubble
func (c caller) call(b *Bulkhead) {
	ctx, cancel := context.WithCancel(context.Background())
	if c.patient > 0 {
		ctx, cancel = context.WithTimeout(context.Background(), c.patient)
	}
	defer cancel()
	time.Sleep(c.after)
	switch c.ends {
	case "stops", "then":
		c.beAnActor(b)
		return
	case "reports", "releases", "forgets":
		if c.ends == "forgets" && c.request.HoldFor == 0 {
			c.request.HoldFor = time.Millisecond
		}
		p, err := b.AcquireFor(ctx, c.request)
		if err != nil {
			return
		}
		time.Sleep(c.takes)
		switch c.ends {
		case "reports":
			p.Report(patterns.Success)
		case "releases":
			p.Release()
		}
		return
	}
	defer func() { _ = recover() }()
	_ = patterns.Run(ctx, plain{b, c.request}, func(ctx context.Context) error {
		select {
		case <-time.After(c.takes):
		case <-ctx.Done():
			return ctx.Err()
		}
		switch c.ends {
		case "fails":
			return errors.New("no")
		case "panics":
			panic("no")
		case "exits":
			runtime.Goexit()
		}
		return nil
	})
}

// beAnActor asks from within an actor, which stops in the end, whatever it holds or
// waits for by then.
//
//bulwark:bubble
func (c caller) beAnActor(b *Bulkhead) {
	root := b.System().Root
	pid := root.Spawn(actor.PropsFromFunc(func(a actor.Context) {
		if _, ok := a.Message().(*actor.Started); !ok {
			return
		}
		if c.ends == "then" {
			actors.AcquireThen(a, b, func(p patterns.Permit, err error) {
				if err == nil && c.takes > 5*time.Millisecond {
					p.Report(patterns.Failure)
				}
			})
			return
		}
		a.Request(b.PID(), actors.Acquire{
			Key: c.request.Key, Weight: c.request.Weight, Priority: c.request.Priority, NoWait: c.request.NoWait, Holder: a.Self(),
		})
	}))
	time.Sleep(c.takes)
	_ = root.StopFuture(pid).Wait()
}

// live runs it, and returns what is wrong in the end.
//
//bulwark:bubble
func (l stay) live(t *testing.T) error {
	b, err := Spawn(actorstest.NewRegistry(t), "rooms", l.cfg)
	if err != nil {
		return err
	}
	if l.crash != nil {
		actorstest.Crash(t, b, actorstest.At(l.crash))
	}
	var wg sync.WaitGroup
	for _, c := range l.callers {
		wg.Go(func() { c.call(b) })
	}
	most := l.cfg.MaxConcurrent
	if l.resized > 0 {
		time.Sleep(l.resized)
		next := l.cfg
		next.MaxConcurrent = l.to
		most = max(most, l.to)
		_ = b.Reconfigure(t.Context(), next) // unless it panics just then
	}
	wg.Wait()
	time.Sleep(time.Second)
	s, ok := b.Snapshot(t.Context())
	if !ok { // it panicked at that
		s, _ = b.Snapshot(t.Context())
	}
	switch {
	case !s.Balanced():
		return fmt.Errorf("does not balance: %+v", s)
	case s.Active != 0 || s.InFlight != 0 || s.Waiting != 0 || s.Partitions != 0 || s.Saturated || s.SaturatedPartitions != 0:
		return fmt.Errorf("left behind: %+v", s)
	case l.cfg.MaxPartitions == 0 && s.Peak > most:
		return fmt.Errorf("%d at once, of %d", s.Peak, most)
	}
	p, err := b.TryAcquireFor(patterns.Request{Weight: s.Limit})
	if errors.Is(err, actors.ErrFailed) { // nobody asked before
		p, err = b.TryAcquireFor(patterns.Request{Weight: s.Limit})
	}
	p.Release()
	return err
}

// However callers end, and whatever happens to the actor meanwhile, every slot comes back.
func TestNoSlotIsEverLost(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		life := drawStay(r)
		var err error
		synctest.Test(t, func(t *testing.T) { err = life.live(t) })
		if err != nil {
			r.Fatal(err)
		}
	})
}
