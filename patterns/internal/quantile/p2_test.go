package quantile

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

func TestP2FollowsTheVectors(t *testing.T) {
	for file, steps := range map[string]int{"p2_01.json": 300, "p2_paper.json": 20} {
		t.Run(file, func(t *testing.T) {
			var v struct {
				Params struct {
					P float64 `json:"p"`
				} `json:"params"`
				Steps []struct {
					Op   string `json:"op"`
					Args struct {
						X float64 `json:"x"`
					} `json:"args"`
					Expect struct {
						Estimate float64 `json:"estimate"`
					} `json:"expect"`
				} `json:"steps"`
			}
			text, err := os.ReadFile("testdata/" + file)
			if err == nil {
				err = json.Unmarshal(text, &v)
			}
			if err != nil || len(v.Steps) != steps {
				t.Fatalf("%d steps, %v", len(v.Steps), err)
			}
			e := NewP2(v.Params.P)
			for i, s := range v.Steps {
				added := e.Add(s.Args.X)
				got, ok := e.Value()
				if s.Op != "add" || !added || !ok || math.Abs(got-s.Expect.Estimate) > 1e-9*math.Abs(s.Expect.Estimate) {
					t.Fatalf("step %d: %v, want %v", i, got, s.Expect.Estimate)
				}
			}
		})
	}
}

// p2Twin is the paper's own text: arrays, and positions that are added up.
type p2Twin struct {
	all            []float64
	q, n, np, rise [5]float64
}

func (w *p2Twin) add(p, x float64) {
	w.all = append(w.all, x)
	q, n, np := &w.q, &w.n, &w.np
	if len(w.all) <= 5 {
		if len(w.all) == 5 {
			copy(q[:], w.all)
			slices.Sort(q[:])
			*n = [5]float64{1, 2, 3, 4, 5}
			*np = [5]float64{1, 1 + 2*p, 1 + 4*p, 3 + 2*p, 5}
			w.rise = [5]float64{0, p / 2, p, (1 + p) / 2, 1}
		}
		return
	}
	var k int
	switch {
	case x < q[0]:
		q[0], k = x, 0
	case x < q[1]:
		k = 0
	case x < q[2]:
		k = 1
	case x < q[3]:
		k = 2
	case x <= q[4]:
		k = 3
	default:
		q[4], k = x, 3
	}
	for i := k + 1; i < 5; i++ {
		n[i]++
	}
	for i := range np {
		np[i] += w.rise[i]
	}
	for i := 1; i <= 3; i++ {
		d := np[i] - n[i]
		if d >= 1 && n[i+1]-n[i] > 1 || d <= -1 && n[i-1]-n[i] < -1 {
			s := math.Copysign(1, d)
			h := q[i] + s/(n[i+1]-n[i-1])*((n[i]-n[i-1]+s)*(q[i+1]-q[i])/(n[i+1]-n[i])+(n[i+1]-n[i]-s)*(q[i]-q[i-1])/(n[i]-n[i-1]))
			if q[i-1] < h && h < q[i+1] {
				q[i] = h
			} else {
				j := i + int(s)
				q[i] += s * (q[j] - q[i]) / (n[j] - n[i])
			}
			n[i] += s
		}
	}
}

func TestP2IsThePapersOwn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.Float64Range(0.01, 0.99).Draw(t, "p")
		e, twin := NewP2(p), p2Twin{}
		for i, x := range rapid.SliceOfN(rapid.OneOf(rapid.Float64Range(0, 1), rapid.SampledFrom([]float64{0, 0.5, 1, 1e6})), 1, 200).Draw(t, "numbers") {
			e.Add(x)
			twin.add(p, x)
			got, ok := e.Value()
			want := twin.q[2]
			if i < 4 {
				list := slices.Sorted(slices.Values(twin.all))
				want = list[int(math.Ceil(p*float64(len(list))))-1]
			}
			if !ok || math.Abs(got-want) > 1e-9*max(math.Abs(want), 1e-9) || e.Count() != int64(i+1) {
				t.Fatalf("after %d: %v, want %v", i+1, got, want)
			}
		}
	})
}

func TestP2StaysInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := NewP2(rapid.Float64Range(0.001, 0.999).Draw(t, "p"))
		low, high, n := math.Inf(1), math.Inf(-1), int64(0)
		for range rapid.IntRange(1, 100).Draw(t, "numbers") {
			x := rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.MaxFloat64, -math.MaxFloat64, 0})).Draw(t, "x")
			finite := x-x == 0
			if e.Add(x) != finite {
				t.Fatalf("%v counts: %v", x, !finite)
			}
			if finite {
				low, high = min(low, x), max(high, x)
				n++
			}
			if got, ok := e.Value(); ok != (n > 0) || ok && !(got >= low && got <= high) || e.Count() != n {
				t.Fatalf("%v of %d in [%v, %v]", got, n, low, high)
			}
			if n >= 5 && (!slices.IsSorted(e.height[:]) || e.place[0] < 2 || e.place[0] >= e.place[1] || e.place[1] >= e.place[2] || e.place[2] >= n) {
				t.Fatalf("markers %v, %v", e.height, e.place)
			}
		}
		if e.Reset(); e != NewP2(e.p) {
			t.Fatalf("%+v is left", e)
		}
	})
}

func TestP2IsNearWhereNumbersAreSmooth(t *testing.T) {
	for _, p := range []float64{0.5, 0.9, 0.95, 0.99} {
		r, e := rand.New(rand.NewPCG(1, 2)), NewP2(p)
		for range 20_000 {
			e.Add(r.ExpFloat64())
		}
		if got, want := first(e.Value()), -math.Log(1-p); math.Abs(got-want) > 0.05*want {
			t.Errorf("the quantile %v is %v, want %v", p, got, want)
		}
	}
}

func first[T any](x T, _ bool) T { return x }

func TestP2IsSmall(t *testing.T) {
	if n := unsafe.Sizeof(P2{}); n > 104 {
		t.Errorf("%d bytes", n)
	}
}
