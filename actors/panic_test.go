package actors_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/supervisor/intensity"
)

// crowd asks a guard in every way, and keeps what each of its members is answered.
type crowd struct {
	t       *testing.T
	g       *deskGuard
	in      *inbox
	next    uint64
	answers map[uint64][]any
	wg      sync.WaitGroup
	handles chan any
}

func newCrowd(t *testing.T, g *deskGuard) *crowd {
	return &crowd{t: t, g: g, in: newInbox(t, g.System()), answers: map[uint64][]any{}, handles: make(chan any, 100)}
}

type answer struct {
	ref    uint64
	permit patterns.Permit
	err    error
}

// ask makes one of the crowd ask, through the handle or by message.
//
//bulwark:bubble
func (c *crowd) ask(handle bool, r patterns.Request) (ref uint64) {
	c.next++
	ref = c.next
	c.answers[ref] = nil
	if handle {
		c.wg.Go(func() {
			p, err := c.g.AcquireFor(c.t.Context(), r)
			c.handles <- answer{ref, p, err}
		})
	} else {
		c.in.ask(c.g.PID(), actors.Acquire{
			Ref: ref, Key: r.Key, Weight: r.Weight, Priority: r.Priority, NoWait: r.NoWait, Spend: r.Spend, HoldFor: r.HoldFor, Holder: c.in.pid,
		})
	}
	synctest.Wait()
	return ref
}

// listen gathers the answers, and ends every permit with a success.
//
//bulwark:bubble
func (c *crowd) listen() {
	c.t.Helper()
	for {
		synctest.Wait()
		var ref uint64
		var got any
		var end func()
		select {
		case m := <-c.handles:
			a := m.(answer)
			ref, got = a.ref, a.err
			end = func() { a.permit.Report(patterns.Success) }
		case m := <-c.in.got:
			switch m := m.(type) {
			case actors.Granted:
				ref = m.Ref
				end = func() { c.in.ask(c.g.PID(), actors.Report{Permit: m.Permit}) }
			case actors.Rejected:
				ref, got = m.Ref, m.Err
			default:
				c.t.Errorf("got %+v", m)
			}
		default:
			return
		}
		c.answers[ref] = append(c.answers[ref], got)
		if end != nil {
			end()
		}
	}
}

// answered fails the test unless ref was answered with err, nil being a permit.
func (c *crowd) answered(ref uint64, want error) {
	c.t.Helper()
	got := c.answers[ref]
	if len(got) != 1 {
		c.t.Errorf("%d was answered with %v", ref, got)
		return
	}
	if err, _ := got[0].(error); !errors.Is(err, want) || (err == nil) != (want == nil) {
		c.t.Errorf("%d was answered with %v, want %v", ref, got[0], want)
	}
}

// queuePanics are the ways in which the rules of a queue fail. do returns whose request it
// was, if it was one's, and how many of those who wait are answered besides.
var queuePanics = []struct {
	name   string
	method string
	order  patterns.Order
	do     func(c *crowd, held *patterns.Permit) (whose []uint64)
}{
	{"Join, on the spot", "Join", patterns.FIFO, func(c *crowd, _ *patterns.Permit) []uint64 {
		return []uint64{c.ask(true, patterns.Request{NoWait: true})}
	}},
	{"Join, in the queue", "Join", patterns.Fair, func(c *crowd, _ *patterns.Permit) []uint64 {
		return []uint64{c.ask(true, patterns.Request{})}
	}},
	{"Join, by message", "Join", patterns.Keyed, func(c *crowd, _ *patterns.Permit) []uint64 {
		return []uint64{c.ask(false, patterns.Request{})}
	}},
	{"Order, in the queue", "Order", patterns.LIFO, func(c *crowd, _ *patterns.Permit) []uint64 {
		return []uint64{c.ask(true, patterns.Request{})}
	}},
	{"Order, by message", "Order", patterns.FIFO, func(c *crowd, _ *patterns.Permit) []uint64 {
		return []uint64{c.ask(false, patterns.Request{})}
	}},
	{"Order, at a command", "Order", patterns.Fair, func(c *crowd, _ *patterns.Permit) []uint64 {
		if err := c.g.Reconfigure(c.t.Context(), c.g.machine.cfg); !errors.Is(err, actors.ErrFailed) {
			c.t.Errorf("error %v", err)
		}
		return nil
	}},
	{"Again, in the queue", "Again", patterns.FIFO, func(c *crowd, _ *patterns.Permit) []uint64 {
		return []uint64{c.ask(true, patterns.Request{Priority: patterns.High})}
	}},
	{"Again, by message", "Again", patterns.Keyed, func(c *crowd, _ *patterns.Permit) []uint64 {
		return []uint64{c.ask(false, patterns.Request{Priority: patterns.High})}
	}},
	{"Expired", "Expired", patterns.FIFO, func(*crowd, *patterns.Permit) []uint64 {
		pass(time.Minute)
		return []uint64{1}
	}},
	{"Freed, at a report", "Freed", patterns.Keyed, func(_ *crowd, held *patterns.Permit) []uint64 {
		held.Report(patterns.Success)
		return nil
	}},
	{"Freed, at a release", "Freed", patterns.Keyed, func(_ *crowd, held *patterns.Permit) []uint64 {
		held.Release()
		return nil
	}},
	{"Freed, at a question", "Freed", patterns.Keyed, func(c *crowd, _ *patterns.Permit) []uint64 {
		if _, err := c.g.Consult(c.t.Context(), deskClear{}); !errors.Is(err, actors.ErrFailed) {
			c.t.Errorf("error %v", err)
		}
		return nil
	}},
	{"Acquire, when its turn comes", "Acquire", patterns.FIFO, func(_ *crowd, held *patterns.Permit) []uint64 {
		held.Report(patterns.Success)
		return []uint64{1}
	}},
	{"Again, when its turn comes", "Again", patterns.Fair, func(c *crowd, _ *patterns.Permit) []uint64 {
		if err := c.g.Operate(c.t.Context(), patterns.Operation{Kind: patterns.Reset}); !errors.Is(err, actors.ErrFailed) {
			c.t.Errorf("error %v", err)
		}
		return nil
	}},
}

func TestRulesOfAQueueThatPanicLeaveNobodyUnanswered(t *testing.T) {
	for _, tt := range queuePanics {
		for _, givenUp := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, given up %v", tt.name, givenUp), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var opts []actors.RegistryOption
					if givenUp {
						opts = append(opts, actors.WithIntensity(intensity.Config{Restarts: intensity.Never}))
					}
					guards := actorstest.NewRegistry(t, opts...)
					g := spawnDesk(t, guards, deskConfig{Limit: 1, Order: tt.order, Waiting: 10, MaxWait: time.Minute})
					c := newCrowd(t, g)
					held := acquire(t, g, patterns.Request{})
					for i := range 4 {
						c.ask(i%2 == 1, patterns.Request{})
						time.Sleep(1) // so that they expire one after the other
					}
					g.command(t, func(m *desk) { m.panicIn = tt.method })
					whose := tt.do(c, &held)
					synctest.Wait()
					c.listen()
					for _, ref := range whose {
						c.answered(ref, actors.ErrFailed)
					}
					if g.machine.panicIn != "" {
						t.Fatal("nothing panicked")
					}
					if !givenUp {
						if got := g.snapshot(t); got.Restarts != 1 || got.Repairs != 0 || got.InFlight > 1 {
							t.Errorf("%+v", got)
						}
						c.listen()
						held.Report(patterns.Success)
					}
					c.listen()
					time.Sleep(time.Hour)
					c.listen()
					c.wg.Wait()
					for ref, got := range c.answers {
						if len(got) != 1 {
							t.Errorf("%d was answered with %v", ref, got)
						}
					}
					if got := g.snapshot(t); got.Waiting != 0 || !givenUp && got.InFlight != 0 {
						t.Errorf("%+v", got)
					}
				})
			})
		}
	}
}

// The answer and the panic that follows it are one answer.
func TestASpentPermitWhoseRulesPanicAfterwardsIsAnsweredOnce(t *testing.T) {
	for _, handle := range []bool{true, false} {
		for _, waits := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				guards := actorstest.NewRegistry(t)
				g := spawnDesk(t, guards, deskConfig{Limit: 2, Waiting: 10, Spends: true})
				c := newCrowd(t, g)
				held := acquire(t, g, patterns.Request{Weight: 2})
				var free func()
				if !waits {
					held.Report(patterns.Success)
					free = g.machine.occupy(func() { g.Snapshot(t.Context()) })
				}
				ref := c.ask(handle, patterns.Request{Spend: true})
				if waits { // the report of the held one is not to panic
					g.machine.then = func(m *desk) { m.panicIn = "Report" }
					held.Report(patterns.Success)
				} else {
					g.machine.panicIn = "Report"
					free()
				}
				c.listen()
				c.answered(ref, nil)
				if got := g.snapshot(t); got.Restarts != 1 || got.Success != 2 || got.Waiting != 0 {
					t.Errorf("by handle %v, waits %v: %+v", handle, waits, got)
				}
				c.wg.Wait()
			})
		}
	}
}

// A call is used again by its requester as soon as it is answered: a second answer would be
// to the next question.
func TestAPanicDoesNotAnswerTheNextRequest(t *testing.T) {
	guards := actorstest.NewRegistry(t, actors.WithIntensity(intensity.Config{Restarts: 1 << 16, Period: time.Millisecond}))
	g := spawnDesk(t, guards, deskConfig{Limit: 1 << 20, Waiting: 10, Spends: true})
	var wg sync.WaitGroup
	rounds := 300
	if soak {
		rounds *= 100
	}
	granted := make([]uint64, 4)
	for i := range granted {
		wg.Go(func() {
			for n := range rounds {
				if n%3 == 0 {
					p, err := g.AcquireFor(t.Context(), patterns.Request{HoldFor: time.Hour}) // another call of the pool's
					if err != nil || p.ID() == 0 {
						t.Errorf("permit %d, error %v", p.ID(), err)
					}
					p.Release()
				}
				g.command(t, func(m *desk) { m.panicIn = "Report" })
				p, err := g.AcquireFor(t.Context(), patterns.Request{Spend: true, HoldFor: 1}) // always queues
				if err != nil || p.ID() != 0 {
					t.Errorf("permit %d, error %v", p.ID(), err)
				} else {
					granted[i]++
				}
			}
		})
	}
	wg.Wait()
	sum := uint64(0)
	for _, n := range granted {
		sum += n
	}
	if got := g.snapshot(t); got.Success != sum || got.InFlight != 0 || got.Restarts == 0 {
		t.Errorf("%d spent, %+v", sum, got.Counts)
	}
}

// producerPanics are the ways in which a producer's turn fails. told says that its standing
// order is over.
var producerPanics = []struct {
	name  string
	order patterns.Order
	room  bool // two permits can be had
	fail  func(t *testing.T, g *deskGuard)
	do    func(t *testing.T, g *deskGuard, p *inbox)
	told  bool
	ended int // permits that end all the same
}{
	{name: "Produce", told: true, room: true, fail: crashAt(actors.Produce{}), do: produceMore},
	{name: "Acquire in a Produce", told: true, room: true, fail: panicIn("Acquire of p"), do: produceMore},
	{name: "deciding in a Produce", told: true, room: true, fail: crashAfter(actors.Acquire{}), do: produceMore},
	{name: "the second Acquire in a Produce", told: true, room: true, fail: func(t *testing.T, g *deskGuard) {
		g.command(t, func(m *desk) { m.panicIn, m.panicOn = "Acquire of p", 2 })
	}, do: produceMore},
	{name: "Order as it begins to wait", told: true, fail: panicIn("Order"), do: produceMore},
	{name: "Again as it begins to wait", told: true, fail: panicIn("Again"), do: produceMore},
	{name: "Done", fail: crashAt(actors.Done{}), do: doneOne, ended: 1},
	{name: "Done of several", fail: crashAt(actors.Done{}), do: doneTwo, ended: 2},
	{name: "Report in a Done", fail: crashAt(actors.Report{}), do: doneTwo, ended: 2},
	{name: "deciding on a Report in a Done", fail: crashAfter(actors.Report{}), do: doneTwo, ended: 2},
	{name: "Freed in a Done", order: patterns.Keyed, fail: panicIn("Freed"), do: func(t *testing.T, g *deskGuard, p *inbox) {
		acquireLater(t, g)
		doneTwo(t, g, p)
	}, ended: 2},
	{name: "Acquire after a Done", told: true, fail: panicIn("Acquire of p"), do: doneOne, ended: 1},
}

func crashAt(msg any) func(*testing.T, *deskGuard) {
	return func(t *testing.T, g *deskGuard) { actorstest.Crash(t, g, actorstest.At(msg)) }
}

func crashAfter(msg any) func(*testing.T, *deskGuard) {
	return func(t *testing.T, g *deskGuard) { actorstest.Crash(t, g, actorstest.AfterDeciding(msg)) }
}

func panicIn(method string) func(*testing.T, *deskGuard) {
	return func(t *testing.T, g *deskGuard) { g.command(t, func(m *desk) { m.panicIn = method }) }
}

func produceMore(_ *testing.T, g *deskGuard, p *inbox) {
	p.ask(g.PID(), actors.Produce{Ref: 2, Window: 6, Key: "p"})
}
func doneOne(_ *testing.T, g *deskGuard, p *inbox) { p.ask(g.PID(), actors.Done{N: 1}) }
func doneTwo(_ *testing.T, g *deskGuard, p *inbox) { p.ask(g.PID(), actors.Done{N: 2}) }

// acquireLater has somebody wait for ever.
func acquireLater(t *testing.T, g *deskGuard) {
	in := newInbox(t, g.System())
	in.ask(g.PID(), actors.Acquire{Key: "x", Weight: g.machine.cfg.Limit, Holder: in.pid})
	in.ask(g.PID(), actors.Acquire{Key: "x", Weight: g.machine.cfg.Limit, Holder: in.pid})
}

func TestWhateverPanicsAProducersCreditsAreWhole(t *testing.T) {
	for _, tt := range producerPanics {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				guards := actorstest.NewRegistry(t)
				limit := 3
				if tt.room {
					limit = 5
				}
				g := spawnDesk(t, guards, deskConfig{Limit: limit, Order: tt.order, Waiting: 10})
				box, option := tap()
				p := newInbox(t, guards.System(), option)
				p.ask(g.PID(), actors.Produce{Ref: 1, Window: 3, Key: "p"})
				wantDemand(t, p, 3)
				tt.fail(t, g)
				tt.do(t, g, p)
				synctest.Wait()
				rejected, demand := 0, 0
				for len(p.got) > 0 {
					switch m := (<-p.got).(type) {
					case actors.Rejected:
						if rejected++; !errors.Is(m.Err, actors.ErrFailed) {
							t.Errorf("%+v", m)
						}
					case actors.Demand:
						demand += m.N
					}
				}
				got := g.snapshot(t)
				if got.Restarts != 1 || got.Repairs != 0 {
					t.Fatalf("%+v", got)
				}
				if tt.told && (rejected != 1 || demand != 0) || !tt.told && (rejected != 0 || demand != tt.ended) {
					t.Errorf("rejected %d times, a demand of %d", rejected, demand)
				}
				if mine := got.Used[g.machine.key("p")]; mine != 3-tt.ended+demand {
					t.Errorf("%d in use, %+v", mine, got)
				}
				// What is out can be ended, and then there is nothing left.
				p.ask(g.PID(), actors.Produce{Ref: 3})
				p.ask(g.PID(), actors.Done{N: 3 - tt.ended + demand})
				synctest.Wait()
				if len(p.got) > 0 {
					t.Errorf("got %+v", <-p.got)
				}
				if w, u := box.watches.Load(), box.unwatches.Load(); w != u+1 && w != u { // one more for the restart
					t.Errorf("%d watches, %d unwatches", w, u)
				}
				if got := g.snapshot(t); got.Used[g.machine.key("p")] != 0 || got.Repeated != 0 {
					t.Errorf("%+v", got)
				}
				p.ask(g.PID(), actors.Produce{Ref: 4, Window: 2, Key: "p"})
				wantDemand(t, p, 2)
			})
		})
	}
}

// A producer that the rules cannot bear must not take the guard with it.
func TestAPoisonedProducerIsToldAndTheOthersGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		g := spawnDesk(t, guards, deskConfig{Limit: 2, Waiting: 10})
		held := acquire(t, g, patterns.Request{Weight: 2})
		p, q := newInbox(t, guards.System()), newInbox(t, guards.System())
		p.ask(g.PID(), actors.Produce{Ref: 1, Window: 3, Key: "p"})
		q.ask(g.PID(), actors.Produce{Ref: 2, Window: 3, Key: "q"})
		synctest.Wait()
		g.machine.panicIn = "Acquire of p"
		held.Report(patterns.Success)
		if r := nextAs[actors.Rejected](t, p); r.Ref != 1 || !errors.Is(r.Err, actors.ErrFailed) {
			t.Errorf("%+v", r)
		}
		wantDemand(t, q, 2)
		wantDemand(t, p, 0)
		if got := g.snapshot(t); got.Restarts != 1 || got.InFlight != 2 || got.Waiting != 1 {
			t.Errorf("%+v", got)
		}
	})
}

// The supervisor gives the guard up in the middle of a turn: nobody may be left waiting, and
// the last snapshot has to balance.
func TestAGuardThatIsGivenUpInTheMiddleOfATurnLeavesNothingOpen(t *testing.T) {
	for name, at := range map[string]func(t *testing.T, g *deskGuard){
		"deciding":     crashAfter(actors.Acquire{}),
		"setting time": panicIn("Wake"),
	} {
		for _, handle := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, by handle %v", name, handle), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					guards := actorstest.NewRegistry(t, actors.WithIntensity(intensity.Config{Restarts: intensity.Never}))
					g := spawnDesk(t, guards, deskConfig{Limit: 2, Waiting: 10})
					c := newCrowd(t, g)
					held := acquire(t, g, patterns.Request{})
					c.ask(handle, patterns.Request{Weight: 2, HoldFor: time.Hour}) // waits
					at(t, g)
					if name == "deciding" {
						_, err := g.AcquireFor(t.Context(), patterns.Request{Priority: patterns.High})
						if !errors.Is(err, actors.ErrFailed) {
							t.Errorf("error %v", err)
						}
					} else {
						held.Report(patterns.Success)
					}
					synctest.Wait()
					c.listen()
					c.wg.Wait()
					for ref, got := range c.answers {
						if len(got) != 1 {
							t.Errorf("%d was answered with %v", ref, got)
						}
					}
					got := g.snapshot(t)
					if want := uint64(1); name == "deciding" && got.InFlight != want || got.Waiting != 0 {
						t.Errorf("%+v", got)
					}
				})
			})
		}
	}
}

// command runs f in a turn of the guard's.
func (g *deskGuard) command(t testing.TB, f func(*desk)) {
	t.Helper()
	if _, err := g.Consult(context.Background(), deskDo(f)); err != nil && !errors.Is(err, actors.ErrFailed) {
		t.Error(err)
	}
}

// A standing order that goes to another shard is heard there, though the first panics as
// it ends the old one.
func TestAProducerThatMovesIsHeardThoughItsOldShardPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		g := spawnDesks(t, guards, 3, deskConfig{Limit: 2, Waiting: 10})
		box, option := tap()
		p, in := newInbox(t, guards.System(), option), newInbox(t, guards.System())
		keys := g.keys(t)
		acquire(t, g, patterns.Request{Key: keys[0]})
		p.ask(g.PID(), actors.Produce{Ref: 1, Window: 5, Key: keys[0]})
		wantDemand(t, p, 1)
		queue(t, in, g, actors.Acquire{Ref: 2, Key: keys[0], Holder: in.pid})
		g.machines[0].panicIn = "Acquire"
		p.ask(g.PID(), actors.Produce{Ref: 3, Window: 1, Key: keys[1]})
		if d := nextAs[actors.Demand](t, p); d != (actors.Demand{Ref: 3, N: 1}) {
			t.Errorf("%+v", d)
		}
		if r := nextAs[actors.Rejected](t, in); r.Ref != 2 || !errors.Is(r.Err, actors.ErrFailed) {
			t.Errorf("%+v", r)
		}
		wantDemand(t, p, 0)
		p.ask(g.PID(), actors.Produce{Key: keys[1]})
		p.ask(g.PID(), actors.Done{N: 2})
		wantDemand(t, p, 0)
		if got := g.snapshot(t); got.InFlight != 1 || got.Waiting != 0 || got.Restarts != 1 || got.Repeated != 0 {
			t.Errorf("%+v", got.Counts)
		}
		if w, u := box.watches.Load(), box.unwatches.Load(); w != 3 || u != 2 { // one more for the restart
			t.Errorf("%d watches, %d unwatches", w, u)
		}
	})
}

// mute refuses and does not say why.
type mute struct{ *desk }

func (m mute) Acquire(now patterns.Instant, id uint64, r *patterns.Request) patterns.Decision {
	if r.Key == "nothing" {
		return patterns.Decision{}
	}
	return m.desk.Acquire(now, id, r)
}

func (mute) Expired(patterns.Instant, *patterns.Request) (bool, error) { return false, nil }

func TestARefusalWithoutAReasonIsOneAllTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		var made []*desk
		spec := deskSpec(deskConfig{Limit: 1, Waiting: 100, MaxWait: time.Minute}, &made)
		build := spec.New
		spec.New = func(o actors.Origin) actors.Machine[deskConfig, deskSnapshot] { return mute{build(o).(*desk)} }
		g, err := actors.Spawn(guards, "desk", spec, func(t *actors.Typed[deskConfig, deskSnapshot]) *deskGuard {
			return &deskGuard{t, made[0]}
		})
		if err != nil {
			t.Fatal(err)
		}
		c := newCrowd(t, g)
		spot := c.ask(true, patterns.Request{Key: "nothing"})
		queued := c.ask(true, patterns.Request{Key: "nothing", HoldFor: 1})
		message := c.ask(false, patterns.Request{Key: "nothing"})
		acquire(t, g, patterns.Request{})
		handle, byMessage := c.ask(true, patterns.Request{}), c.ask(false, patterns.Request{})
		time.Sleep(time.Minute)
		c.listen()
		for _, ref := range []uint64{spot, queued, message} {
			c.answered(ref, patterns.ErrRejected)
		}
		for _, ref := range []uint64{handle, byMessage} {
			c.answered(ref, actors.ErrExpired)
		}
		c.wg.Wait()
		g.snapshot(t)
	})
}
