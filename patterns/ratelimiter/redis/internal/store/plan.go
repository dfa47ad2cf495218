package store

import (
	"cmp"
	"slices"
)

const (
	// maxKeys, maxRuns and maxCosts bound how long one call of the script keeps the server:
	// keys, runs of equal requests, and what they may cost in permits to be logged.
	maxKeys  = 128
	maxRuns  = 512
	maxCosts = 16_384
)

// plan is what one Run asks, and its scratch memory.
type plan struct {
	entries  []entry
	next     []int32          // by check: the next check of the same entry, or -1
	last     map[string]int32 // by key: its last entry
	calls    []call
	commands []once
	names    []byte
	laws     []*Law // of one call
	words    []uint64
}

// entry is some checks of one key, of one law, in their order.
type entry struct {
	name      string
	law       *Law
	head      int32 // first check
	tail      int32
	slot      uint16
	nameEnd   int32 // in plan.names
	again     bool  // its key has an entry before
	runs      int32
	costs     int64
	lastKind  Kind
	lastCount int64
}

// call is one call of the script, for entries[from:to].
type call struct {
	from, to int
	args     []any
	reply    string
	err      error
}

// make plans checks. Those that cannot be asked are answered.
func (p *plan) make(s *Store, checks []Check, answers []Answer) {
	p.next = slices.Grow(p.next[:0], len(checks))[:len(checks)]
	for i := range checks {
		p.next[i] = -1
		c := &checks[i]
		answers[i] = Answer{}
		if problem := c.problem(s.config.Algorithm); problem != "" {
			answers[i].Err = &ArgumentError{Problem: problem}
			continue
		}
		p.add(s, c, int32(i), len(checks) > 1)
	}
	names, at := string(p.names), int32(0)
	for i := range p.entries {
		e := &p.entries[i]
		e.name, at = names[at:e.nameEnd], e.nameEnd
		if s.spread == bySlot {
			e.slot = slot(e.name[len(s.prefix)+1 : len(e.name)-1])
		}
	}
	if s.spread == bySlot {
		slices.SortStableFunc(p.entries, func(a, b entry) int { return cmp.Compare(a.slot, b.slot) })
	}
	p.divide(s, checks)
}

func (c *Check) problem(a Algorithm) string {
	switch {
	case c.Law == nil:
		return "a check has no law"
	case c.Law.algorithm != a:
		return "a check's law is of another algorithm"
	case c.Kind > Cancel:
		return "a check is of no kind"
	case c.Kind > Return && a == SlidingLog:
		return "a log books nothing"
	case c.Kind == Cancel && (c.Booking == nil || !c.Booking.valid()):
		return "there is no such booking"
	case c.Within < 0:
		return "a time to wait must not be negative"
	case c.Weight < 0:
		return "a weight must not be negative"
	case c.Since < 0 || c.Since >= whole:
		return "a time must be of the server's clock"
	}
	return ""
}

// add puts check i behind those of its key, if they are of the same law and there is room
// in a call.
func (p *plan) add(s *Store, c *Check, i int32, several bool) {
	kind, weight := c.asked()
	again := false
	if several {
		var at int32
		if at, again = p.last[c.Key]; again {
			e := &p.entries[at]
			same := kind == e.lastKind && weight == e.lastCount && kind < Return
			if e.law == c.Law && (same || e.runs < maxRuns && e.costs+kind.cost() <= maxCosts) {
				p.next[e.tail] = i
				e.tail = i
				e.add(kind, weight, same)
				return
			}
		}
		p.last[c.Key] = int32(len(p.entries))
	}
	p.names = appendKey(p.names, s.prefix, c.Key)
	e := entry{law: c.Law, head: i, tail: i, nameEnd: int32(len(p.names)), again: again}
	e.add(kind, weight, false)
	p.entries = append(p.entries, e)
}

func (e *entry) add(kind Kind, weight int64, same bool) {
	if !same {
		e.runs++
		e.costs += kind.cost()
		e.lastKind, e.lastCount = kind, weight
	}
	if e.law.algorithm == SlidingLog && kind <= TakeUpTo {
		most := e.law.tiers[0].Count
		e.costs = min(e.costs+min(weight, most), most)
	}
}

// cost is more than nothing where all bookings of a key may have to be gone through.
func (k Kind) cost() int64 {
	switch k {
	case Return:
		return maxCosts / 256
	case Reserve, Cancel:
		return maxCosts / 64
	}
	return 0
}

// asked is what the script is asked: nothing is taken or given of nothing, nor is anything
// given back to a log.
func (c *Check) asked() (Kind, int64) {
	weight := min(c.Weight, whole-1)
	switch {
	case weight == 0, c.Kind == Return && c.Law.algorithm == SlidingLog:
		return Peek, min(weight, 0)
	}
	return c.Kind, weight
}

// divide makes calls of the entries.
func (p *plan) divide(s *Store, checks []Check) {
	for from := 0; from < len(p.entries); {
		first := &p.entries[from]
		to, runs, costs := from+1, first.runs, first.costs
		for to < len(p.entries) && to-from < maxKeys && s.spread != apart {
			e := &p.entries[to]
			runs, costs = runs+e.runs, costs+e.costs
			if e.slot != first.slot || runs > maxRuns || costs > maxCosts {
				break
			}
			to++
		}
		p.call(s, from, to, checks)
		from = to
	}
}

// call adds a call for entries[from:to].
func (p *plan) call(s *Store, from, to int, checks []Check) {
	p.laws = p.laws[:0]
	b := make([]byte, 0, 64+32*(to-from))
	args := make([]any, 0, 4+to-from+len(s.script.more))
	args = append(args, "evalsha", s.script.sum, to-from)
	for i := from; i < to; i++ {
		e := &p.entries[i]
		args = append(args, e.name)
		if slices.Index(p.laws, e.law) < 0 {
			p.laws = append(p.laws, e.law)
		}
	}
	b = append(b, 0xdd, 0, 0, 0, 0) // an array, of a length to come
	b = appendNumber(b, uint64(len(p.laws)))
	count := 1
	for _, l := range p.laws {
		b = append(b, l.numbers...)
		count += l.size()
	}
	for i := from; i < to; i++ {
		e := &p.entries[i]
		head := slices.Index(p.laws, e.law) + 2*maxKeys*int(e.runs)
		if e.again {
			head += maxKeys
		}
		b = appendNumber(b, uint64(head))
		count += 1 + 2*int(e.runs)
		for at := e.head; at >= 0; {
			kind, weight := checks[at].asked()
			c, times := &checks[at], uint64(0)
			for same := true; same; {
				at = p.next[at]
				times++
				same = false
				if at >= 0 && kind < Return {
					k, w := checks[at].asked()
					same = k == kind && w == weight
				}
			}
			if kind > Return { // the kinds that are alone are one to the script
				kind, times = Return, times+uint64(kind-Return)
			}
			b = appendNumber(b, uint64(kind)+4*times)
			b = appendNumber(b, uint64(weight))
			if kind == Return {
				more := c.more()
				for _, x := range more {
					b = appendNumber(b, uint64(x))
				}
				count += len(more)
			}
		}
	}
	b[1], b[2], b[3], b[4] = byte(count>>24), byte(count>>16), byte(count>>8), byte(count)
	args = append(append(args, b), s.script.more...)
	p.calls = append(p.calls, call{from: from, to: to, args: args})
}

// more are the numbers of a check that is alone.
func (c *Check) more() []int64 {
	switch c.Kind {
	case Reserve:
		return []int64{min(c.Within, whole-1)}
	case Cancel:
		return []int64{c.Booking.Since, c.Booking.At, c.Booking.Number}
	}
	return []int64{c.Since}
}

// fail answers all checks of e with err.
func (p *plan) fail(e *entry, answers []Answer, err error) {
	for i := e.head; i >= 0; i = p.next[i] {
		answers[i] = Answer{Err: err}
	}
}

// clear forgets what the plan refers to, and keeps its memory if that is not much.
func (p *plan) clear() {
	if cap(p.next) > 64*maxKeys {
		*p = plan{last: make(map[string]int32)}
		return
	}
	clear(p.entries)
	clear(p.calls)
	clear(p.commands)
	clear(p.laws)
	clear(p.last)
	p.entries, p.calls, p.commands, p.laws, p.names = p.entries[:0], p.calls[:0], p.commands[:0], p.laws[:0], p.names[:0]
}
