package adaptive

import (
	"math"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// kept is a cut-off that keeps a place since now.
func kept(now time.Duration) *cutoff {
	c := &cutoff{inFlight: [levels]int32{1}, asked: [levels]int{1000}} // of a time when nothing was kept
	c.refused(patterns.Instant(now), levels-1, true, 10)
	return c
}

func TestWhatIsKeptIsGivenUpWhenAllWhoCameWouldHaveFoundRoom(t *testing.T) {
	const hour = time.Hour
	for _, tt := range []struct {
		name    string
		latency time.Duration
		do      func(ask func(at time.Duration, n int))
		held    bool
	}{
		{"they would: 0.4 at a time", 100 * ms, func(ask func(time.Duration, int)) { ask(hour+500*ms, 2) }, false},
		{"not before half a second is over", 100 * ms, func(ask func(time.Duration, int)) { ask(hour+499*ms, 2) }, true},
		{"nor before calls have ended four times", 200 * ms, func(ask func(time.Duration, int)) { ask(hour+799*ms, 2) }, true},
		{"but then", 200 * ms, func(ask func(time.Duration, int)) { ask(hour+800*ms, 2) }, false},
		{"who came before anything was kept does not count", 100 * ms, func(ask func(time.Duration, int)) { ask(hour+time.Second, 1) }, false},
		{"too many do not fit", 100 * ms, func(ask func(time.Duration, int)) { ask(hour+500*ms, 100) }, true},
		{"nor do so many that chance makes them too many: 6 at a time in 10 places", 100 * ms, func(ask func(time.Duration, int)) { ask(hour+500*ms, 30) }, true},
		{"each time is judged by itself", 100 * ms, func(ask func(time.Duration, int)) {
			ask(hour+500*ms, 100)
			ask(hour+1000*ms, 2)
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := kept(hour)
			tt.do(func(at time.Duration, n int) { c.ask(patterns.Instant(at), 0, n, tt.latency, 10) })
			if c.held != tt.held || (c.reserve != [levels]float64{}) != tt.held {
				t.Errorf("held %v, reserves %v", c.held, c.reserve)
			}
		})
	}
}

func TestWhatIsMoreThanAPriorityCouldUseBecomesLess(t *testing.T) {
	const top = levels - 1
	for _, tt := range []struct {
		name string
		have float64
		came int // in half a second, of calls that take 100 ms
		want float64
	}{
		{"none came", 8, 0, 6},
		{"a few came: 0.2 at a time", 8, 1, 6},
		{"and could use no more", 1.6, 1, 0.2 + 3*math.Sqrt(0.2)},
		{"they can use all of it", 8, 20, 8},
		{"nearly all of it", 8, 10, 2 + 3*math.Sqrt2},
		{"one place is always kept", 1.2, 0, 1},
		{"less than that is left alone", 0.7, 0, 0.7},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := kept(0)
			c.reserve[top] = tt.have
			c.ask(0, 0, 500, 100*ms, 10) // so many of others that something is kept
			c.ask(patterns.Instant(500*ms), top, tt.came, 100*ms, 10)
			if got := c.reserve[top]; math.Abs(got-tt.want) > 1e-12 || !c.held {
				t.Errorf("kept %v, want %v", got, tt.want)
			}
		})
	}
}

// However a newcomer comes to wait, to be granted or refused, it has come once.
func TestANewcomerIsCountedOnce(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(h *host)
	}{
		{"granted", func(h *host) { h.acquire(patterns.Request{}) }},
		{"told to wait, and joining", func(h *host) {
			h.take(8, patterns.Request{Priority: patterns.Critical})
			h.m.cutoff.asked = [levels]int{}
			h.acquire(patterns.Request{Priority: patterns.Critical})
			h.join(patterns.Request{Priority: patterns.Critical}, 0)
		}},
		{"joining behind others", func(h *host) { h.join(patterns.Request{}, 3) }},
		{"refused a place in the queue", func(h *host) { h.join(patterns.Request{}, 10) }},
		{"and not again when its turn comes", func(h *host) {
			h.join(patterns.Request{}, 3)
			h.turn(1)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t, queued(8))
			h.m.cutoff.reserve[levels-1], h.m.cutoff.held = 1, true
			tt.do(h)
			sum := 0
			for _, n := range h.m.cutoff.asked {
				sum += n
			}
			if sum != 1 {
				t.Errorf("%d have come", sum)
			}
		})
	}
}
