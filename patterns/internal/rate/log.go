package rate

// Log remembers when each permit was taken: at most limit in every window of width ns,
// wherever it begins, and never fewer than that allows. What was refused is not
// remembered, or one who keeps asking would be locked out for ever. A permit taken at t
// has left the window at t + width.
type Log struct{ limit, width int64 }

// The words of a Log: a ring of times, the oldest first.
const (
	logHead = iota
	logLength
	logTimes
)

// NewLog returns the rule of limit in any width ns.
func NewLog(limit, width int64) *Log { return &Log{limit: limit, width: width} }

// Words is one for each permit and two more.
func (l *Log) Words() int { return logTimes + int(l.limit) }

// Capacity is the limit.
func (l *Log) Capacity() int64 { return l.limit }

// Start forgets everything.
func (l *Log) Start(s []uint64, _ int64) { s[logHead], s[logLength] = 0, 0 }

// cell is where the i-th oldest time is.
func (l *Log) cell(s []uint64, i int64) *uint64 {
	at := int64(s[logHead]) + i
	if at >= l.limit {
		at -= l.limit
	}
	return &s[logTimes+at]
}

// expire forgets what has left the window.
func (l *Log) expire(s []uint64, now int64) {
	for s[logLength] > 0 && int64(*l.cell(s, 0)) <= now-l.width {
		s[logLength]--
		if s[logHead]++; s[logHead] == uint64(l.limit) {
			s[logHead] = 0
		}
	}
}

// expired is how many of the oldest have left the window.
func (l *Log) expired(s []uint64, now int64) int64 {
	low, high := int64(0), int64(s[logLength])
	for low < high {
		if mid := (low + high) / 2; int64(*l.cell(s, mid)) <= now-l.width {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

// Wait is until enough have left the window.
func (l *Log) Wait(s []uint64, now, n int64) int64 {
	switch {
	case n > l.limit:
		return -1
	case n <= 0:
		return 0
	}
	must := int64(s[logLength]) + n - l.limit // leave
	if must <= 0 {
		return 0
	}
	return max(int64(*l.cell(s, must-1))+l.width-now, 0)
}

// WaitBehind follows the ring: what it holds leaves in turn, then what is taken now and as
// each of them leaves.
func (l *Log) WaitBehind(s []uint64, now, ahead, n int64) int64 {
	wait := l.Wait(s, now, n)
	if wait < 0 || n <= 0 {
		return wait
	}
	gone := l.expired(s, now)
	held := int64(s[logLength]) - gone
	last := add(ahead, n) - (l.limit - held) - 1
	if last < 0 {
		return 0
	}
	leaves := now
	if i := last % l.limit; i < held {
		leaves = int64(*l.cell(s, gone+i))
	}
	return add(leaves+l.width-now, times(last/l.limit, l.width))
}

// Charge remembers n.
func (l *Log) Charge(s []uint64, now, n int64) {
	l.expire(s, now)
	for range min(n, l.limit-int64(s[logLength])) {
		*l.cell(s, int64(s[logLength])) = uint64(now)
		s[logLength]++
	}
}

// Remaining is what the window has room for.
func (l *Log) Remaining(s []uint64, now int64) int64 { return l.limit - l.Used(s, now) }

// Used is what is in the window.
func (l *Log) Used(s []uint64, now int64) int64 {
	return int64(s[logLength]) - l.expired(s, now)
}

// Reset is when the newest has left the window.
func (l *Log) Reset(s []uint64, now int64) int64 {
	if s[logLength] == 0 {
		return 0
	}
	return max(int64(*l.cell(s, int64(s[logLength])-1))+l.width-now, 0)
}

// Since is now: what is counted is found by when it was.
func (l *Log) Since(_ []uint64, now int64) int64 { return now }

// Refund forgets n of those taken at since.
func (l *Log) Refund(s []uint64, since, now, n int64) {
	l.expire(s, now)
	length := int64(s[logLength])
	end := length // of those taken by since
	for end > 0 && int64(*l.cell(s, end-1)) > since {
		end--
	}
	start := end
	for start > 0 && end-start < n && int64(*l.cell(s, start-1)) == since {
		start--
	}
	for i := end; i < length; i++ {
		*l.cell(s, start+i-end) = *l.cell(s, i)
	}
	s[logLength] -= uint64(end - start)
}

// Fresh reports whether the window is empty.
func (l *Log) Fresh(s []uint64, now int64) bool { return l.Reset(s, now) == 0 }

// Check knows broken words.
func (l *Log) Check(s []uint64, now int64) string {
	if s[logHead] >= uint64(l.limit) || s[logLength] > uint64(l.limit) {
		return "the ring is longer than the limit"
	}
	last := int64(-1 << 63)
	for i := range int64(s[logLength]) {
		t := int64(*l.cell(s, i))
		if t < last || t > now {
			return "times are out of order"
		}
		last = t
	}
	return ""
}

// convert keeps the newest times that have room.
func (l *Log) convert(src []uint64, to Rule, dst []uint64, now int64) bool {
	t, ok := to.(*Log)
	if !ok {
		return false
	}
	first := l.expired(src, now)
	first = max(first, int64(src[logLength])-t.limit)
	times := make([]uint64, 0, t.limit)
	for i := first; i < int64(src[logLength]); i++ {
		times = append(times, *l.cell(src, i))
	}
	dst[logHead], dst[logLength] = 0, uint64(len(times))
	copy(dst[logTimes:], times)
	return true
}
