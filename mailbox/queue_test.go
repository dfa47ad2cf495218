package mailbox

import (
	"runtime"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func TestQueueIsASlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q queue
		var twin []*Node
		var free []*Node // popped: may be pushed again at once
		t.Repeat(map[string]func(*rapid.T){
			"push": func(*rapid.T) {
				n := &Node{}
				if len(free) > 0 {
					n, free = free[0], free[1:]
				}
				q.push(n)
				twin = append(twin, n)
			},
			"pop": func(t *rapid.T) {
				var want *Node
				if len(twin) > 0 {
					want, twin = twin[0], twin[1:]
				}
				if got := q.pop(); got != want {
					t.Fatalf("popped %p, want %p", got, want)
				}
				if want != nil {
					free = append(free, want)
				}
			},
			"peek": func(t *rapid.T) {
				var want *Node
				if len(twin) > 0 {
					want = twin[0]
				}
				if got := q.peek(); got != want {
					t.Fatalf("peeked %p, want %p", got, want)
				}
			},
		})
	})
}

func TestQueueKeepsNothingOfAPoppedNode(t *testing.T) {
	var q queue
	a, b := &Node{}, &Node{}
	q.push(a)
	q.push(b)
	if q.pop() != a || a.next != nil {
		t.Error("a popped node holds on to the next one")
	}
}

// A producer pushes, pushes again before the consumer looked, and takes its nodes
// back from the consumer, who gives them out in whatever order.
func TestQueueLosesNothingAndKeepsEachProducersOrder(t *testing.T) {
	const producers, own = 8, 16
	each := soak(20_000, 1_000_000)
	type item struct {
		Node
		producer, seq int
	}
	for _, procs := range []int{1, 2, 8} {
		withProcs(t, procs)
		var q queue
		var wg sync.WaitGroup
		back := make([]chan *item, producers)
		for p := range back {
			back[p] = make(chan *item, own)
			for range own {
				i := &item{producer: p}
				i.Init(i)
				back[p] <- i
			}
			wg.Go(func() {
				for seq := range each {
					i := <-back[p]
					i.seq = seq
					q.push(&i.Node)
				}
			})
		}
		var next [producers]int
		for got := 0; got < producers*each; {
			n := q.pop()
			if n == nil {
				runtime.Gosched()
				continue
			}
			i := n.Value().(*item)
			if i.seq != next[i.producer] {
				t.Fatalf("producer %d: got %d, want %d", i.producer, i.seq, next[i.producer])
			}
			next[i.producer]++
			got++
			back[i.producer] <- i
		}
		wg.Wait()
		if q.pop() != nil || slices.ContainsFunc(next[:], func(n int) bool { return n != each }) {
			t.Errorf("left over: %v", next)
		}
	}
}

// A producer that is preempted in the middle of a push must not hide what others
// push after it: their next message would find the actor idle and overtake.
func TestAPushIsOneStep(t *testing.T) {
	var q queue
	first, second := &Node{}, &Node{}
	first.next = q.newest.Load() // as far as push gets before its only step
	q.push(second)
	if q.pop() != second {
		t.Error("hidden")
	}
	if q.newest.CompareAndSwap(second, first) {
		t.Error("the preempted push goes on as if nothing had happened")
	}
}
