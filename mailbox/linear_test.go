package mailbox

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// counter is the simplest object with a history: an increment returns the new value.
type counter struct {
	value int // owned by the turn
	m     *Combining
	pid   *actor.PID
	clock atomic.Int64
}

type increment struct {
	node         Node
	lane         Lane
	result       int
	done         chan struct{}
	began, ended int64
}

func (i *increment) Lane() Lane { return i.lane }

func (c *counter) increment(i *increment) {
	c.value++
	i.result = c.value
}

func (c *counter) Turn(n *Node) {
	i := n.Value().(*increment)
	c.increment(i)
	i.done <- struct{}{}
}
func (c *counter) Refuse(*Node, error) { panic("refused") }
func (c *counter) After()              {}

func (c *counter) Receive(ctx actor.Context) {
	if i, ok := ctx.Message().(*increment); ok {
		c.increment(i)
		if ctx.Sender() != nil {
			ctx.Respond(i.result)
		} else {
			i.done <- struct{}{}
		}
	}
}

// call increments through one of the entries, and takes the time on a logical clock.
func (c *counter) call(system *actor.ActorSystem, entry int) *increment {
	i := &increment{done: make(chan struct{}, 1)}
	i.node.Init(i)
	if entry%2 == 1 {
		i.lane = Urgent
	}
	i.began = c.clock.Add(1)
	switch {
	case entry < 3 && c.m.TryEnter():
		c.increment(i)
		c.m.Exit()
	case entry < 5:
		if err := c.m.Post(&i.node, i.lane); err != nil {
			panic(err)
		}
		<-i.done
	case entry < 7:
		system.Root.Send(c.pid, i)
		<-i.done
	default:
		if res, err := system.Root.RequestFuture(c.pid, i, time.Minute).Result(); err != nil || res != i.result {
			panic(fmt.Sprint(res, err))
		}
	}
	i.ended = c.clock.Add(1)
	return i
}

// linearizable says why the history of a counter is not that of one counter, or "".
func linearizable(history []*increment) string {
	byResult := slices.Clone(history)
	slices.SortFunc(byResult, func(a, b *increment) int { return cmp.Compare(a.result, b.result) })
	for n, i := range byResult {
		if i.result != n+1 {
			return fmt.Sprintf("result %d in the place of %d", i.result, n+1)
		}
	}
	// What has a smaller result must not begin after the end of what has a larger one.
	firstEnd := int64(1) << 62
	for _, i := range slices.Backward(byResult) {
		if i.began > firstEnd {
			return fmt.Sprintf("%d began after a larger result was returned", i.result)
		}
		firstEnd = min(firstEnd, i.ended)
	}
	return ""
}

func TestTheCheckerOfHistories(t *testing.T) {
	i := func(result int, began, ended int64) *increment {
		return &increment{result: result, began: began, ended: ended}
	}
	for _, c := range []struct {
		name    string
		history []*increment
		ok      bool
	}{
		{"one after another", []*increment{i(1, 1, 2), i(2, 3, 4)}, true},
		{"at the same time", []*increment{i(2, 1, 4), i(1, 2, 3)}, true},
		{"lost", []*increment{i(1, 1, 2), i(3, 3, 4)}, false},
		{"twice", []*increment{i(1, 1, 4), i(1, 2, 3)}, false},
		{"the later one is smaller", []*increment{i(2, 1, 2), i(1, 3, 4)}, false},
		{"later than one of many", []*increment{i(3, 1, 2), i(1, 0, 9), i(2, 3, 9)}, false},
	} {
		if got := linearizable(c.history); (got == "") != c.ok {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

func TestACounterIsLinearizableThroughAllEntries(t *testing.T) {
	system := quietSystem()
	defer system.Shutdown()
	for _, procs := range []int{1, 2, 8} {
		for _, inline := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d procs, inline %v", procs, inline), func(t *testing.T) {
				withProcs(t, procs)
				c := &counter{}
				var turns counted
				c.pid = system.Root.Spawn(actor.PropsFromProducer(func() actor.Actor { return c },
					actor.WithDispatcher(&turns), actor.WithMailbox(func() actor.Mailbox {
						c.m = NewCombining(Config{Inline: inline, Budget: 16, Handler: c})
						return c.m
					})))
				const callers = 8
				each := soak(800, 40_000)
				histories := make([][]*increment, callers)
				var wg sync.WaitGroup
				for id := range callers {
					wg.Go(func() {
						for n := range each {
							histories[id] = append(histories[id], c.call(system, (n+id)%8))
						}
					})
				}
				wg.Wait()
				if fault := linearizable(slices.Concat(histories...)); fault != "" {
					t.Error(fault)
				}
				if err := system.Root.StopFuture(c.pid).Wait(); err != nil {
					t.Error(err)
				}
				turns.Wait()
			})
		}
	}
}
