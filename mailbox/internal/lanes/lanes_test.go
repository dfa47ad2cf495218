package lanes

import (
	"encoding/json"
	"math/big"
	"os"
	"testing"

	"pgregory.net/rapid"
)

// queues are the queues of a host.
type queues struct {
	*Scheduler
	items [][]int
}

func (q *queues) ready() (set uint64) {
	for i, items := range q.items {
		if len(items) > 0 {
			set |= 1 << i
		}
	}
	return set
}

func TestVectorToTheLastField(t *testing.T) {
	text, err := os.ReadFile("testdata/lanes_stride.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Params struct{ Weights []int } `json:"params"`
		Steps  []struct {
			Op     string                  `json:"op"`
			Args   struct{ Lane, ID int }  `json:"args"`
			Expect struct{ Lane, ID *int } `json:"expect"`
		} `json:"steps"`
	}
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Steps) < 500 {
		t.Fatalf("%d steps", len(v.Steps))
	}
	q := queues{New(v.Params.Weights), make([][]int, len(v.Params.Weights))}
	for i, s := range v.Steps {
		if s.Op == "enqueue" {
			q.items[s.Args.Lane] = append(q.items[s.Args.Lane], s.Args.ID)
			continue
		}
		lane, ok := q.Next(q.ready())
		if ok != (s.Expect.Lane != nil) {
			t.Fatalf("step %d: %v", i, ok)
		}
		if !ok {
			continue
		}
		id := q.items[lane][0]
		q.items[lane] = q.items[lane][1:]
		if lane != *s.Expect.Lane || id != *s.Expect.ID {
			t.Fatalf("step %d: %d of lane %d, want %d of %d", i, id, lane, *s.Expect.ID, *s.Expect.Lane)
		}
	}
}

// twin keeps its passes as exact fractions, and is told of every arrival.
type twin struct {
	weights []int
	passes  []*big.Rat
	counts  []int
	global  *big.Rat
}

func (w *twin) arrive(lane int) {
	if w.counts[lane] == 0 && w.passes[lane].Cmp(w.global) < 0 {
		w.passes[lane].Set(w.global)
	}
	w.counts[lane]++
}

func (w *twin) next() (lane int, ok bool) {
	lane = -1
	for i, n := range w.counts {
		if n > 0 && (lane < 0 || w.passes[i].Cmp(w.passes[lane]) < 0) {
			lane = i
		}
	}
	if lane < 0 {
		return 0, false
	}
	w.global.Set(w.passes[lane])
	w.passes[lane].Add(w.passes[lane], big.NewRat(1, int64(w.weights[lane])))
	w.counts[lane]--
	return lane, true
}

func TestAgainstTheTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(1, 12), 1, 6).Draw(t, "weights")
		q := queues{New(weights), make([][]int, len(weights))}
		start := rapid.SampledFrom([]uint64{0, rebase - 100, rebase - 1}).Draw(t, "start")
		q.global = start
		w := &twin{weights: weights, counts: make([]int, len(weights)), global: new(big.Rat)}
		for i := range weights {
			q.passes[i] = start
			w.passes = append(w.passes, new(big.Rat))
		}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			if lane := rapid.IntRange(-len(weights), len(weights)-1).Draw(t, "lane"); lane >= 0 {
				q.items[lane] = append(q.items[lane], 1)
				w.arrive(lane)
				continue
			}
			lane, ok := q.Next(q.ready())
			want, some := w.next()
			if lane != want || ok != some {
				t.Fatalf("lane %d, %v; want %d, %v", lane, ok, want, some)
			}
			if ok {
				q.items[lane] = q.items[lane][1:]
			}
		}
	})
}

func TestQueuesThatAlwaysAskGetTheirSharesToWithinOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(1, 50), 1, 8).Draw(t, "weights")
		s, sum := New(weights), 0
		for _, w := range weights {
			sum += w
		}
		got, idle := make([]int, len(weights)), make([]int, len(weights))
		for range 3 * sum {
			lane, _ := s.Next(^uint64(0))
			got[lane]++
			for i := range idle {
				idle[i]++
				if bound := (sum+weights[i]-1)/weights[i] + len(weights); idle[i] > bound && i != lane {
					t.Fatalf("lane %d of %v waits for more than %d turns", i, weights, bound)
				}
			}
			idle[lane] = 0
		}
		for i, w := range weights {
			if d := got[i] - 3*w; d < -1 || d > 1 {
				t.Fatalf("lane %d of %v got %d turns of %d", i, weights, got[i], 3*sum)
			}
		}
	})
}

func TestIdleQueuesSaveNothingUp(t *testing.T) {
	s := New([]int{1, 1})
	for range 1000 {
		s.Next(1)
	}
	got := [2]int{}
	for range 100 {
		lane, _ := s.Next(3)
		got[lane]++
	}
	if got != [2]int{50, 50} {
		t.Errorf("%v", got)
	}
}

func TestAnyWeightsWork(t *testing.T) {
	if _, ok := New(nil).Next(^uint64(0)); ok {
		t.Error("a queue of none")
	}
	many := make([]int, 100)
	for i := range many {
		many[i] = 1<<20 - i*i // nothing in common
	}
	many[5], many[6] = -1, 1<<40
	s := New(many)
	if len(s.strides) != MaxLanes {
		t.Fatalf("%d lanes", len(s.strides))
	}
	for range 10_000 {
		if lane, ok := s.Next(^uint64(0)); !ok || lane >= MaxLanes {
			t.Fatal(lane, ok)
		}
	}
	for i, stride := range s.strides {
		if stride == 0 || stride > rebase>>8 {
			t.Errorf("stride %d is %d", i, stride)
		}
	}
	if lane, ok := s.Next(1 << 63); lane != 63 || !ok {
		t.Error(lane, ok)
	}
}

func TestATurnDoesNotAllocate(t *testing.T) {
	s := New([]int{6, 3, 1})
	if n := testing.AllocsPerRun(100, func() { s.Next(7) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
