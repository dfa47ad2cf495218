package rate

import "math/bits"

// Counter approximates a sliding window by two counts: that of the fixed window now
// lies in, and of the one before, weighted with the part of it that a window which
// slides would still cover. In the worst case, all of the one before at its end, almost
// twice the limit passes in some window; where calls come evenly it is exact.
type Counter struct {
	limit  int64
	window window
}

// The words of a Counter.
const (
	counterIndex = iota
	counterPrevious
	counterCurrent
	counterWords
)

// NewCounter returns the rule of limit per width ns. Windows begin at offset and at
// every multiple of width from there.
func NewCounter(limit, width, offset int64) *Counter {
	return &Counter{limit: limit, window: window{width, offset}}
}

// Words is 3: which window, the count before, the count.
func (c *Counter) Words() int { return counterWords }

// Capacity is the limit.
func (c *Counter) Capacity() int64 { return c.limit }

// Start forgets both counts.
func (c *Counter) Start(s []uint64, now int64) {
	index, _ := c.window.at(now)
	s[counterIndex], s[counterPrevious], s[counterCurrent] = uint64(index), 0, 0
}

// counts returns what s means at now, which lies into ns in its window.
func (c *Counter) counts(s []uint64, now int64) (index, into, previous, current int64) {
	index, into = c.window.at(now)
	switch index - int64(s[counterIndex]) {
	case 0:
		return index, into, int64(s[counterPrevious]), int64(s[counterCurrent])
	case 1:
		return index, into, int64(s[counterCurrent]), 0
	}
	return index, into, 0, 0
}

// Wait is exact: 1 ns earlier than it says, n do not pass.
func (c *Counter) Wait(s []uint64, now, n int64) int64 {
	switch {
	case n > c.limit:
		return -1
	case n <= 0:
		return 0
	}
	_, into, previous, current := c.counts(s, now)
	width := c.window.width
	if room := c.limit - current - n; room >= 0 {
		if at := c.reaches(previous, room); at < width {
			return max(at-into, 0)
		}
	}
	return width - into + c.reaches(current, c.limit-n)
}

// WaitBehind takes it that every window lets the whole limit pass, which is a little more
// than it does.
func (c *Counter) WaitBehind(s []uint64, now, ahead, n int64) int64 {
	wait := c.Wait(s, now, n)
	if wait < 0 || n <= 0 || ahead <= 0 {
		return wait
	}
	_, into, previous, current := c.counts(s, now)
	width := c.window.width
	rest := add(ahead, n) - (c.limit - current) // what has no room in this window
	if rest <= 0 {
		return max(wait, c.reaches(previous, -rest)-into)
	}
	windows := (rest - 1) / c.limit
	last := c.reaches(c.limit, (windows+1)*c.limit-rest)
	return max(wait, add(width-into+last, times(windows, width)))
}

// reaches returns how far into a window the count before it weighs room at most; the
// width of the window if that is not before its end.
func (c *Counter) reaches(previous, room int64) int64 {
	if previous <= room {
		return 0
	}
	high, low := bits.Mul64(uint64(room), uint64(c.window.width))
	covered, _ := bits.Div64(high, low, uint64(previous)) // room < previous, so it fits
	return c.window.width - int64(covered)
}

// weight is what the count before weighs into ns of the window, rounded up.
func (c *Counter) weight(previous, into int64) int64 {
	high, low := bits.Mul64(uint64(previous), uint64(c.window.width-into))
	weight, rest := bits.Div64(high, low, uint64(c.window.width))
	if rest > 0 {
		weight++
	}
	return int64(weight)
}

// Charge counts n.
func (c *Counter) Charge(s []uint64, now, n int64) {
	if n <= 0 {
		return
	}
	index, _, previous, current := c.counts(s, now)
	s[counterIndex], s[counterPrevious] = uint64(index), uint64(previous)
	s[counterCurrent] = uint64(min(current+n, c.limit))
}

// Remaining is what would pass now.
func (c *Counter) Remaining(s []uint64, now int64) int64 {
	return max(c.limit-c.Used(s, now), 0)
}

// Used is the weighted count.
func (c *Counter) Used(s []uint64, now int64) int64 {
	_, into, previous, current := c.counts(s, now)
	return current + c.weight(previous, into)
}

// Reset is when neither count weighs anything.
func (c *Counter) Reset(s []uint64, now int64) int64 {
	_, into, previous, current := c.counts(s, now)
	switch {
	case current > 0:
		return 2*c.window.width - into
	case previous > 0:
		return c.window.width - into
	}
	return 0
}

// Since is now: what is counted is found by when it was.
func (c *Counter) Since(_ []uint64, now int64) int64 { return now }

// Refund uncounts n where they were counted, if that still weighs.
func (c *Counter) Refund(s []uint64, since, now, n int64) {
	index, _, previous, current := c.counts(s, now)
	switch was, _ := c.window.at(since); index - was {
	case 0:
		current = max(current-n, 0)
	case 1:
		previous = max(previous-n, 0)
	}
	s[counterIndex], s[counterPrevious], s[counterCurrent] = uint64(index), uint64(previous), uint64(current)
}

// Fresh reports whether nothing weighs.
func (c *Counter) Fresh(s []uint64, now int64) bool { return c.Reset(s, now) == 0 }

// Check knows broken words.
func (c *Counter) Check(s []uint64, now int64) string {
	switch index, _ := c.window.at(now); {
	case int64(s[counterIndex]) > index:
		return "the window is in the future"
	case s[counterCurrent] > uint64(c.limit) || s[counterPrevious] > uint64(c.limit):
		return "more is counted than may pass"
	}
	return ""
}

func (c *Counter) convert(src []uint64, to Rule, dst []uint64, now int64) bool {
	t, ok := to.(*Counter)
	if !ok || t.window != c.window {
		return false
	}
	index, _, previous, current := c.counts(src, now)
	dst[counterIndex] = uint64(index)
	dst[counterPrevious], dst[counterCurrent] = uint64(min(previous, t.limit)), uint64(min(current, t.limit))
	return true
}
