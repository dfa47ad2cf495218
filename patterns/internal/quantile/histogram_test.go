package quantile

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/bulwark-go/bulwark/patterns"
)

const (
	ms      = time.Millisecond
	longest = time.Duration(math.MaxInt64)
)

// durations draws those of all sizes, and the extremes.
func durations() *rapid.Generator[time.Duration] {
	return rapid.OneOf(
		rapid.Custom(func(t *rapid.T) time.Duration {
			return time.Duration(math.Exp(rapid.Float64Range(0, 43).Draw(t, "log")))
		}),
		rapid.Custom(func(t *rapid.T) time.Duration { return time.Duration(rapid.Int64Range(-1, 300).Draw(t, "few")) }),
		rapid.SampledFrom([]time.Duration{math.MinInt64, 0, 1, ms, time.Hour, longest}),
	)
}

// ranked returns the q-quantile of a list, counted through.
func ranked(list []time.Duration, q float64) time.Duration {
	list = slices.Sorted(slices.Values(list))
	for i, d := range list {
		if float64(i+1) >= q*float64(len(list))*(1-1e-15) {
			return max(d, 0)
		}
	}
	return max(list[len(list)-1], 0)
}

// right reports whether got is want within 3 %, or 1 ns.
func right(got, want time.Duration) bool {
	return math.Abs(float64(got)-float64(want)) <= max(0.03*float64(want), 1)
}

func drawQ(t *rapid.T) float64 {
	return rapid.OneOf(rapid.Float64Range(0, 1), rapid.SampledFrom([]float64{0, 0.5, 0.9, 0.95, 0.99, 1})).Draw(t, "q")
}

func TestAHistogramIsAListThatIsSorted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h, left Histogram
		list := rapid.SliceOfN(durations(), 1, 200).Draw(t, "durations")
		half := rapid.IntRange(0, len(list)).Draw(t, "half")
		for i, d := range list {
			if i < half {
				left.Add(d)
			} else {
				h.Add(d)
			}
		}
		h.Merge(&left)
		q := drawQ(t)
		if got, ok := h.Quantile(q); !ok || !right(got, ranked(list, q)) || h.Count() != uint64(len(list)) || h.Check() != nil {
			t.Fatalf("the quantile %v is %d, want %d", q, got, ranked(list, q))
		}
		if h.Reset(); h != (Histogram{}) {
			t.Fatal("it remembers")
		}
	})
}

func TestEveryDurationIsRightAlone(t *testing.T) {
	check := func(d time.Duration) {
		i := bucket(d)
		if low, high := bounds(i); uint64(d) < low || uint64(d) > high {
			t.Fatalf("%d is in [%d, %d]", d, low, high)
		}
		if got := middle(i); !right(got, d) || d < 17 && got != d || bucket(got) != i {
			t.Fatalf("%d is taken for %d", d, got)
		}
	}
	for d := time.Duration(0); d < 1<<14; d++ {
		check(d)
	}
	for octave := range octaves { // where buckets meet
		for _, e := range edges {
			at := uint64(math.Ldexp(float64(e), octave-7))
			for d := max(at, 2) - 2; d <= min(at, math.MaxInt64-2)+2; d++ {
				check(time.Duration(min(d, math.MaxInt64)))
			}
		}
	}
}

func TestTheTableIsThatOfTheEdges(t *testing.T) {
	for i, part := range partOf {
		if m := uint64(128 + i); m < edges[part] || m >= edges[part+1] {
			t.Errorf("%d is not in part %d", m, part)
		}
	}
	for i := range parts {
		if a, b := float64(edges[i]), float64(edges[i+1]); (b-a)/(b+a) > 0.0278 {
			t.Errorf("part %d is off by %v", i, (b-a)/(b+a))
		}
	}
}

func TestNearestRank(t *testing.T) {
	for _, tt := range []struct {
		name string
		q    float64
		n    uint64
		want uint64
	}{
		{"the median of an odd number is the middle one", 0.5, 5, 3},
		{"of an even number the lower one", 0.5, 4, 2},
		{"a product that is just too large does not count", 0.07, 100, 7},
		{"one that is larger does", 0.0700001, 100, 8},
		{"99 % of 100", 0.99, 100, 99},
		{"99 % of 101", 0.99, 101, 100},
		{"nothing is the first", 0, 100, 1},
		{"less than nothing too", -1, 100, 1},
		{"and NaN", math.NaN(), 100, 1},
		{"all is the last", 1, 100, 100},
		{"more than all too", math.Inf(1), 100, 100},
		{"of the most there are", 1, math.MaxUint64, math.MaxUint64},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := nearestRank(tt.q, tt.n); got != tt.want {
				t.Errorf("%d, want %d", got, tt.want)
			}
		})
	}
}

func TestABucketThatIsFullStaysSo(t *testing.T) {
	var h, o Histogram
	h.cells[bucket(ms)], h.count = math.MaxUint32-1, math.MaxUint32-1
	h.Add(ms)
	h.Add(ms)
	if h.Count() != math.MaxUint32 || h.Check() != nil {
		t.Errorf("%d", h.Count())
	}
	o.Add(ms)
	o.Add(2 * ms)
	h.Merge(&o)
	if d, _ := h.Quantile(1); h.Count() != 1<<32 || h.Check() != nil || !right(d, 2*ms) {
		t.Errorf("%d, the longest %v", h.Count(), d)
	}
	r := NewRecent(time.Second, 2)
	r.slots[0] = h
	r.count = h.count
	r.Add(0, ms)
	if r.Check() != nil || r.Count(0) != 1<<32 {
		t.Errorf("%v", r.Check())
	}
}

func TestWithoutDurationsThereIsNoQuantile(t *testing.T) {
	r := NewRecent(time.Second, 2)
	if d, ok := new(Histogram).Quantile(0.5); d != 0 || ok {
		t.Errorf("%v", d)
	}
	if d, ok := r.Quantile(0, 0.5); d != 0 || ok {
		t.Errorf("%v", d)
	}
}

// timed is what the twin keeps a list of.
type timed struct {
	slot int64
	d    time.Duration
}

func TestRecentIsTheListOfItsSlots(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		slots := rapid.IntRange(2, 5).Draw(t, "slots")
		span := time.Duration(rapid.Int64Range(1, int64(time.Minute)).Draw(t, "span"))
		width := int64((span + time.Duration(slots) - 1) / time.Duration(slots))
		r := NewRecent(span, slots)
		now := patterns.Instant(rapid.Int64Range(-1e12, 1e12).Draw(t, "begin"))
		start, hi := now, now
		var list []timed
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "add") {
				d := durations().Draw(t, "d")
				r.Add(now, d)
				list = append(list, timed{int64(hi-start) / width, d})
			}
			var held []time.Duration
			for _, e := range list {
				if e.slot > int64(hi-start)/width-int64(slots) {
					held = append(held, e.d)
				}
			}
			q := drawQ(t)
			got, ok := r.Quantile(now, q)
			if ok != (len(held) > 0) || ok && !right(got, ranked(held, q)) || r.Count(now) != uint64(len(held)) {
				t.Fatalf("the quantile %v is %d, of %d", q, got, held)
			}
			if err := r.Check(); err != nil {
				t.Fatal(err)
			}
			var all Histogram
			r.MergeInto(now, &all)
			if same, _ := all.Quantile(q); same != got || all.Count() != uint64(len(held)) {
				t.Fatalf("%v, and in one histogram %v", got, same)
			}
			now = now.Add(time.Duration(rapid.OneOf(rapid.Int64Range(-width, width), rapid.Int64Range(0, 3*width*int64(slots)), rapid.Just(int64(0))).Draw(t, "wait")))
			hi = max(hi, now)
		}
	})
}

func TestRecent(t *testing.T) {
	const sec = patterns.Instant(time.Second)
	t.Run("it forgets, slot by slot", func(t *testing.T) {
		r := NewRecent(10*time.Second, 2)
		r.Add(0, ms)
		r.Add(6*sec, 9*ms)
		for now, want := range map[patterns.Instant]uint64{0: 2} {
			if r.Count(now) != want {
				t.Errorf("%d at %d", r.Count(now), now)
			}
		}
		if r.Count(10*sec-1) != 2 || r.Count(10*sec) != 1 || r.Count(15*sec-1) != 1 || r.Count(15*sec) != 0 {
			t.Errorf("%d are left", r.Count(15*sec))
		}
	})
	t.Run("the ends of time", func(t *testing.T) {
		r := NewRecent(10, 2)
		r.Add(math.MinInt64, ms)
		if r.Count(patterns.Never-3) != 0 {
			t.Error("it remembers for ever")
		}
		r.Add(patterns.Never-3, ms)
		r.Add(patterns.Never, ms)
		if r.Count(patterns.Never) != 2 || r.Check() != nil {
			t.Errorf("%d at the end", r.Count(patterns.Never))
		}
	})
	t.Run("another span keeps what there is", func(t *testing.T) {
		r := NewRecent(10*time.Second, 2)
		r.Add(0, ms)
		r.Add(6*sec, 9*ms)
		r.Quantile(6*sec, 1)
		s := r.Resized(11*sec, time.Second, 4)
		if d, ok := s.Quantile(11*sec, 0); !ok || !right(d, 9*ms) || s.Count(12*sec-1) != 1 || s.Count(12*sec) != 0 || s.Check() != nil {
			t.Errorf("%v, %d", d, s.Count(12*sec))
		}
	})
	t.Run("reset forgets all", func(t *testing.T) {
		r := NewRecent(10*time.Second, 2)
		r.Add(6*sec, 9*ms)
		r.Quantile(6*sec, 1)
		r.Reset()
		if r.Count(0) != 0 || r.Check() != nil || r.end != 5*sec {
			t.Errorf("%+v", r.end)
		}
	})
}

func TestCheckFindsCountsThatAreNotThose(t *testing.T) {
	for name, broken := range map[string]func(*Recent){
		"a bucket":       func(r *Recent) { r.slots[0].cells[1]++ },
		"a slot":         func(r *Recent) { r.slots[0].cells[1]++; r.slots[0].count++ },
		"the count":      func(r *Recent) { r.count++ },
		"those below":    func(r *Recent) { r.below++ },
		"the place":      func(r *Recent) { r.at = buckets },
		"the head":       func(r *Recent) { r.head = 2 },
		"too few slots":  func(r *Recent) { r.slots = r.slots[:1] },
		"slots too thin": func(r *Recent) { r.width = 0 },
	} {
		r := NewRecent(time.Second, 2)
		r.Add(0, ms)
		if r.Check() != nil {
			t.Fatal(r.Check())
		}
		if broken(&r); r.Check() == nil {
			t.Errorf("%s: not found", name)
		}
	}
}

func TestCountingDoesNotAllocate(t *testing.T) {
	var h Histogram
	r, e, now := NewRecent(time.Second, 3), NewP2(0.9), patterns.Instant(0)
	if n := testing.AllocsPerRun(1000, func() {
		now = now.Add(30 * ms)
		h.Add(time.Duration(now))
		r.Add(now, time.Duration(now))
		r.Quantile(now, 0.99)
		r.MergeInto(now, &h)
		e.Add(float64(now))
		e.Value()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAHistogramTakesLessThan4KB(t *testing.T) {
	if n := unsafe.Sizeof(Histogram{}); n > 4096 {
		t.Errorf("%d bytes", n)
	}
}

// some are durations about as services have them.
func some() (list [1024]time.Duration) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range list {
		list[i] = time.Duration(float64(10*ms) * math.Exp(r.NormFloat64()))
	}
	return list
}

func BenchmarkHistogramAdd(b *testing.B) {
	list, i := some(), 0
	var h Histogram
	for b.Loop() {
		h.Add(list[i&1023])
		i++
	}
}

func BenchmarkRecentAdd(b *testing.B) {
	list, i := some(), 0
	r, now := NewRecent(time.Second, 2), patterns.Instant(0)
	for b.Loop() {
		now += 1000
		r.Add(now, list[i&1023])
		i++
	}
}

func BenchmarkRecentAddAndQuantile(b *testing.B) {
	list, i := some(), 0
	r, now := NewRecent(time.Second, 2), patterns.Instant(0)
	for b.Loop() {
		now += 1000
		r.Add(now, list[i&1023])
		r.Quantile(now, 0.99)
		i++
	}
}

func BenchmarkHistogramQuantile(b *testing.B) {
	var h Histogram
	for _, d := range some() {
		h.Add(d)
	}
	for b.Loop() {
		h.Quantile(0.99)
	}
}

func BenchmarkP2Add(b *testing.B) {
	list, i := some(), 0
	e := NewP2(0.99)
	for b.Loop() {
		e.Add(float64(list[i&1023]))
		i++
	}
}
