package loadshedder

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/machinetest"
)

// twin is the shedder of one priority as one would explain it: a list of who is in, and a
// list of who waits.
type twin struct {
	limit, queue int
	maxWait      time.Duration
	in, waiting  []twinCall
}

type twinCall struct {
	label, weight int
	since         patterns.Instant
}

func (w *twin) used() (n int) {
	for _, c := range w.in {
		n += c.weight
	}
	return n
}

func (w *twin) arrive(c twinCall, noWait bool) string {
	switch {
	case c.weight > w.limit:
		return machinetest.Rejected
	case len(w.waiting) == 0 && w.used()+c.weight <= w.limit:
		w.in = append(w.in, c)
		return machinetest.Granted
	case noWait || len(w.waiting) >= w.queue:
		return machinetest.Rejected
	}
	w.waiting = append(w.waiting, c)
	return machinetest.Queued
}

// serve lets in who fits, in order, and tells those who leave: they have waited for too
// long, one after the other, or weigh too much by now.
func (w *twin) serve(now patterns.Instant) (granted, refused []int) {
	for {
		g, r := w.let()
		granted, refused = append(granted, g...), append(refused, r...)
		late := slices.IndexFunc(w.waiting, func(c twinCall) bool { return w.maxWait != Off && now >= c.since.Add(w.maxWait) })
		if late < 0 {
			return granted, refused
		}
		refused = append(refused, w.waiting[late].label)
		w.waiting = slices.Delete(w.waiting, late, late+1)
	}
}

func (w *twin) let() (granted, refused []int) {
	for len(w.waiting) > 0 {
		next := w.waiting[0]
		switch {
		case next.weight > w.limit:
			refused = append(refused, next.label)
		case w.used()+next.weight <= w.limit:
			w.in = append(w.in, next)
			granted = append(granted, next.label)
		default:
			return granted, refused
		}
		w.waiting = w.waiting[1:]
	}
	return granted, refused
}

func TestAgainstTheTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := with(blind, func(c *Config) {
			c.MaxInFlight = rapid.IntRange(1, 5).Draw(t, "places")
			c.MaxQueue = rapid.SampledFrom([]int{NoQueue, 1, 2, 4}).Draw(t, "queue")
			c.QueueDelay = AnyDelay()
			if c.MaxQueue != NoQueue {
				c.MaxWait = rapid.SampledFrom([]time.Duration{Off, sec, 3 * sec}).Draw(t, "wait")
			}
		})
		h := newHost(t, c)
		w := &twin{limit: c.MaxInFlight, queue: max(0, c.MaxQueue), maxWait: h.M.cfg.MaxWait}
		label := 0
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			w.step(t, h, &label)
			h.M.queue.rate = 0 // the twin foresees nothing
			if h.M.inFlight != w.used() || len(h.Queue) != len(w.waiting) {
				t.Fatalf("%d in flight, %d wait; want %d, %d", h.M.inFlight, len(h.Queue), w.used(), len(w.waiting))
			}
		}
	})
}

func (w *twin) step(t *rapid.T, h *host, label *int) {
	switch op := rapid.IntRange(0, 10).Draw(t, "op"); {
	case op <= 4:
		*label++
		r := patterns.Request{Weight: rapid.SampledFrom([]int{0, 1, 1, 2, 6}).Draw(t, "weight"), NoWait: rapid.IntRange(0, 4).Draw(t, "no wait") == 0}
		want := w.arrive(twinCall{*label, max(1, r.Weight), h.Now}, r.NoWait)
		if got, err := h.Acquire(*label, r); got != want {
			t.Fatalf("acquire %d: %s, %v; want %s", *label, got, err, want)
		}
		h.Taken()
	case op <= 7 && len(h.Out) > 0:
		which := rapid.SampledFrom(h.Labels()).Draw(t, "which")
		w.in = slices.DeleteFunc(w.in, func(c twinCall) bool { return c.label == which })
		granted, refused := w.serve(h.Now)
		h.End(which, patterns.Outcome(rapid.IntRange(0, 3).Draw(t, "outcome")))
		w.same(t, h, granted, refused)
	case op == 8 && len(w.waiting) > 0:
		i := rapid.IntRange(0, len(w.waiting)-1).Draw(t, "who")
		who := w.waiting[i].label
		w.waiting = slices.Delete(w.waiting, i, i+1)
		granted, refused := w.serve(h.Now)
		h.Cancel(who)
		w.same(t, h, granted, refused)
	case op == 9:
		d := time.Duration(rapid.IntRange(1, 6).Draw(t, "pass")) * 500 * ms
		var granted, refused []int
		for end := h.Now.Add(d); ; { // whoever leaves, leaves on time
			at := end
			for _, c := range w.waiting {
				if w.maxWait != Off {
					at = min(at, c.since.Add(w.maxWait))
				}
			}
			g, r := w.serve(at)
			granted, refused = append(granted, g...), append(refused, r...)
			if at == end {
				break
			}
		}
		h.Pass(d)
		w.same(t, h, granted, refused)
	case op == 10:
		c := h.M.cfg
		c.MaxInFlight = rapid.IntRange(1, 6).Draw(t, "resized")
		w.limit = c.MaxInFlight
		granted, refused := w.serve(h.Now)
		h.Operator(func(now patterns.Instant) { h.M.Reconfigure(now, c) })
		w.same(t, h, granted, refused)
	}
}

func (w *twin) same(t *rapid.T, h *host, granted, refused []int) {
	var told []int
	for _, r := range h.Refused {
		told = append(told, r.Label)
	}
	h.Refused = nil
	if got := h.Taken(); !slices.Equal(got, granted) || !slices.Equal(told, refused) {
		t.Fatalf("granted %v and refused %v, want %v and %v", got, told, granted, refused)
	}
}

// The share is shed of all together, from below, as far as there is anybody to shed.
func TestTheCutOffShedsTheShareFromBelow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c cutoff
		total, sheddable := 0.0, 0.0
		for i := range c.seen {
			c.seen[i] = rapid.SampledFrom([]float64{0, 0, 1, 10, 1000}).Draw(t, "seen")
			if total += c.seen[i]; i < spared {
				sheddable += c.seen[i]
			}
		}
		share := rapid.Float64Range(0, 1).Draw(t, "share")
		c.divide(share)
		// The twin has a list of every single request, the lowest first.
		left, shed := math.Min(share*total, sheddable), 0.0
		for i, n := range c.seen {
			open := c.open[i]
			if !(open >= 0 && open <= 1) || i > 0 && open < c.open[i-1] {
				t.Fatalf("open %v", c.open)
			}
			if i < spared {
				want := math.Min(n, left)
				left -= want
				if got := n * (1 - open); math.Abs(got-want) > 1e-6*(1+total) {
					t.Fatalf("sheds %v of grade %d, want %v: %v", got, i, want, c.open)
				}
			} else if open != 1 {
				t.Fatalf("sheds critical ones: %v", c.open)
			}
			shed += n * (1 - open)
		}
		if want := math.Min(share*total, sheddable); math.Abs(shed-want) > 1e-6*(1+total) {
			t.Fatalf("sheds %v, want %v", shed, want)
		}
	})
}

func TestAGradeIsAdmittedAsEvenlyAsItCan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := cutoff{seen: [grades]float64{5: 100}}
		share := rapid.Float64Range(0.001, 0.999).Draw(t, "share")
		n, run := 0, 0
		for i := range 1000 {
			run++
			if c.admits(share, 5) {
				n++
				run = 0
			}
			if want := (1 - share) * float64(i+1); math.Abs(float64(n)-want) > 1+1e-9 || float64(run) > 2+1/(1-share) {
				t.Fatalf("admitted %d of %d at a share of %v, want %v; %d in a row not", n, i+1, share, want, run)
			}
		}
	})
}

// Every level that is announced has held for as long as it must, and one that holds for
// twice as long is.
func TestALevelIsAnnouncedIfAndOnlyIfItHeld(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const raise, lower = 5 * ms, 20 * ms
		limit := rapid.SampledFrom([]int{1, 3, 10, 40}).Draw(t, "limit")
		h := newHost(t, with(blind, func(c *Config) { c.MaxInFlight, c.MaxQueue, c.RaiseAfter, c.ClearAfter = limit, NoQueue, raise, lower }))
		above, below := marksOf(limit, 1), marksOf(limit, 0.9)
		type moment struct {
			at patterns.Instant
			n  int
		}
		history := []moment{{h.Now, 0}}
		// extremes returns the least and most in flight since then, what it was then included.
		extremes := func(from patterns.Instant) (least, most int) {
			least, most = math.MaxInt, 0
			for i, m := range history {
				if i == len(history)-1 || history[i+1].at > from {
					least, most = min(least, m.n), max(most, m.n)
				}
			}
			return least, most
		}
		said := Normal
		check := func() {
			for _, e := range h.Drained() {
				c, ok := e.(LevelChanged)
				if !ok {
					continue
				}
				at := patterns.Instant(c.At.Sub(origin))
				history[len(history)-1].at = min(history[len(history)-1].at, at)
				if c.From != said {
					t.Fatalf("from %v, which was not said", c.From)
				}
				if said = c.To; c.To > c.From {
					if least, _ := extremes(at.Add(-raise)); above.level(least) < c.To {
						t.Fatalf("raised to %v with %d in flight: %v", c.To, least, history)
					}
				} else if _, most := extremes(at.Add(-lower)); below.level(most) > c.To {
					t.Fatalf("cleared to %v with %d in flight: %v", c.To, most, history)
				}
			}
			// Nobody may be silent about what has held for twice as long.
			least, _ := extremes(h.Now.Add(-2*raise - 2))
			_, most := extremes(h.Now.Add(-2*lower - 2))
			long := h.Now > patterns.Instant(2*lower+2)
			if long && above.level(least) > said && above.level(least) == above.level(most) {
				t.Fatalf("at %d still %v with %d in flight: %v", h.Now, said, least, history)
			}
			if long && below.level(most) < said && below.level(least) == below.level(most) {
				t.Fatalf("at %d still %v with at most %d in flight: %v", h.Now, said, most, history)
			}
		}
		label := 0
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			switch op := rapid.IntRange(0, 5).Draw(t, "op"); {
			case op <= 2:
				label++
				_, _ = h.Acquire(label, patterns.Request{Weight: rapid.IntRange(1, max(1, limit/3)).Draw(t, "weight")})
			case op <= 4 && len(h.Out) > 0:
				h.End(h.Labels()[0], patterns.Success)
			default:
				h.Pass(time.Duration(rapid.IntRange(1, 30).Draw(t, "pass")) * ms)
				check()
				continue
			}
			history = append(history, moment{h.Now, h.M.inFlight})
			check()
		}
	})
}

// A signal does not flap: between two changes it was beyond the mark for as long as it must.
func TestASignalChangesNoMoreOftenThanItMay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const raise, lower = 20 * ms, 50 * ms
		h := newHost(t, with(eyes, func(c *Config) { c.RaiseAfter, c.ClearAfter = raise, lower }))
		changes, began := 0, h.Now
		var since patterns.Instant // all values since then were beyond the mark
		beyond := false
		for range rapid.IntRange(1, 100).Draw(t, "samples") {
			h.Pass(time.Duration(rapid.IntRange(1, 15).Draw(t, "pause")) * ms)
			v := rapid.SampledFrom([]float64{0.1, 0.72, 0.75, 0.8, 0.95}).Draw(t, "value")
			on := h.M.signals[CPU].on
			if is := !on && v >= 0.8 || on && v <= 0.72; is != beyond {
				beyond, since = is, h.Now
			}
			observe(h, read(CPU, v))
			for _, e := range h.Drained() {
				c, ok := e.(SignalChanged)
				if !ok {
					continue
				}
				hold := lower
				if changes++; c.On {
					hold = raise
				}
				if !beyond || patterns.Instant(c.At.Sub(origin)).Sub(since) < hold || c.On == on {
					t.Fatalf("%+v, beyond %v since %d", c, beyond, since)
				}
				beyond = false
			}
		}
		if most := 2 + 2*int(h.Now.Sub(began)/(raise+lower)); changes > most {
			t.Fatalf("%d changes, at most %d", changes, most)
		}
	})
}
