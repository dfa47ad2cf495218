package rate

// Fixed counts in windows that do not move: at most limit in each. Up to twice the
// limit can pass within one instant around a border.
type Fixed struct {
	limit  int64
	window window
}

// The words of a Fixed.
const (
	fixedIndex = iota
	fixedCount
	fixedWords
)

// NewFixed returns the rule of limit per window of width ns, one of which begins at
// offset.
func NewFixed(limit, width, offset int64) *Fixed {
	return &Fixed{limit: limit, window: window{width, offset}}
}

// Words is 2: which window, and how many in it.
func (f *Fixed) Words() int { return fixedWords }

// Capacity is the limit.
func (f *Fixed) Capacity() int64 { return f.limit }

// Start begins the window anew.
func (f *Fixed) Start(s []uint64, now int64) {
	index, _ := f.window.at(now)
	s[fixedIndex], s[fixedCount] = uint64(index), 0
}

// Wait is until the next window.
func (f *Fixed) Wait(s []uint64, now, n int64) int64 {
	switch {
	case n > f.limit:
		return -1
	case n <= f.Remaining(s, now):
		return 0
	}
	return f.Reset(s, now)
}

// WaitBehind is until the window in which the last of the queue has room.
func (f *Fixed) WaitBehind(s []uint64, now, ahead, n int64) int64 {
	wait := f.Wait(s, now, n)
	if wait < 0 || n <= 0 {
		return wait
	}
	short := add(ahead, n) - f.Remaining(s, now)
	if short <= 0 {
		return 0
	}
	return add(f.Reset(s, now), times((short-1)/f.limit, f.window.width))
}

// Charge counts n.
func (f *Fixed) Charge(s []uint64, now, n int64) {
	if n <= 0 {
		return
	}
	used := f.Used(s, now)
	f.Start(s, now)
	s[fixedCount] = uint64(min(used+n, f.limit))
}

// Remaining is what the window has left.
func (f *Fixed) Remaining(s []uint64, now int64) int64 { return f.limit - f.Used(s, now) }

// Used is what the window counted.
func (f *Fixed) Used(s []uint64, now int64) int64 {
	if index, _ := f.window.at(now); int64(s[fixedIndex]) != index {
		return 0
	}
	return int64(s[fixedCount])
}

// Reset is when the next window begins, used or not.
func (f *Fixed) Reset(_ []uint64, now int64) int64 {
	_, into := f.window.at(now)
	return f.window.width - into
}

// Since is now: what is counted is found by when it was.
func (f *Fixed) Since(_ []uint64, now int64) int64 { return now }

// Refund uncounts n if they were counted in this window.
func (f *Fixed) Refund(s []uint64, since, now, n int64) {
	was, _ := f.window.at(since)
	if is, _ := f.window.at(now); was == is && int64(s[fixedIndex]) == is {
		s[fixedCount] -= min(s[fixedCount], uint64(n))
	}
}

// Fresh reports whether nothing is counted.
func (f *Fixed) Fresh(s []uint64, now int64) bool { return f.Used(s, now) == 0 }

// Check knows broken words.
func (f *Fixed) Check(s []uint64, now int64) string {
	switch index, _ := f.window.at(now); {
	case int64(s[fixedIndex]) > index:
		return "the window is in the future"
	case s[fixedCount] > uint64(f.limit):
		return "more is counted than may pass"
	}
	return ""
}

func (f *Fixed) convert(src []uint64, to Rule, dst []uint64, now int64) bool {
	t, ok := to.(*Fixed)
	if !ok || t.window != f.window {
		return false
	}
	used := f.Used(src, now)
	t.Start(dst, now)
	dst[fixedCount] = uint64(min(used, t.limit))
	return true
}

// window numbers intervals of time, of width ns, of which number 0 begins at offset.
type window struct{ width, offset int64 }

// at returns the window that now lies in, and how far.
func (w window) at(now int64) (index, into int64) {
	now -= w.offset
	index, into = now/w.width, now%w.width
	if into < 0 { // division truncates towards zero
		index, into = index-1, into+w.width
	}
	return index, into
}
