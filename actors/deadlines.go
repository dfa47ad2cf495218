package actors

import "github.com/bulwark-go/bulwark/patterns"

// deadlines is a min-heap of when permits and waiting requests expire, and when to ask
// again for the head of a line. Entries are not removed when what they watch ends
// sooner, but swept when they outnumber it.
type deadlines []deadline

// deadline names a permit, a waiting request or a line.
type deadline struct {
	at       patterns.Instant
	permit   uint64
	waiter   *call
	line     *line
	sequence uint64 // of the waiter, or the line's alarm, because both are used again
}

// names reports whether what the deadline watches is still there.
func (d *deadline) names(l *ledger) bool {
	switch {
	case d.waiter != nil:
		return d.waiter.waitSequence == d.sequence
	case d.line != nil:
		return d.line.alarmID == d.sequence
	case d.permit == errandAlarm:
		return true
	}
	return l.find(d.permit) != nil
}

// before says which of two comes first: of those that are due at once, the older one.
func (d *deadline) before(other *deadline) bool {
	return d.at < other.at || d.at == other.at && d.sequence < other.sequence
}

// add puts x in. The heap is written out, because container/heap would box every entry.
func (d *deadlines) add(x deadline) {
	*d = append(*d, x)
	h := *d
	i := len(h) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if !x.before(&h[parent]) {
			break
		}
		h[i], i = h[parent], parent
	}
	h[i] = x
}

// down lets the entry at i sink to where it belongs.
func (d deadlines) down(i int) {
	x := d[i]
	for {
		child := 2*i + 1
		if child >= len(d) {
			break
		}
		if right := child + 1; right < len(d) && d[right].before(&d[child]) {
			child = right
		}
		if !d[child].before(&x) {
			break
		}
		d[i], i = d[child], child
	}
	d[i] = x
}

// due removes and returns the earliest entry if its time has come.
func (d *deadlines) due(now patterns.Instant) (x deadline, ok bool) {
	h := *d
	if len(h) == 0 || h[0].at > now {
		return deadline{}, false
	}
	x = h[0]
	last := len(h) - 1
	h[0], h[last] = h[last], deadline{}
	if *d = h[:last]; last > 0 {
		d.down(0)
	}
	return x, true
}

// earliest is when due has something to return.
func (d deadlines) earliest() patterns.Instant {
	if len(d) == 0 {
		return patterns.Never
	}
	return d[0].at
}

// sweep drops the entries that no longer name anything once they are the majority.
func (d *deadlines) sweep(alive int, l *ledger) {
	if len(*d) < 2*alive+64 {
		return
	}
	kept := (*d)[:0]
	for _, x := range *d {
		if x.names(l) {
			kept = append(kept, x)
		}
	}
	clear((*d)[len(kept):])
	*d = kept
	for i := len(kept)/2 - 1; i >= 0; i-- {
		d.down(i)
	}
}
