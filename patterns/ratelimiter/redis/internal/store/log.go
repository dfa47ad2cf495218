package store

// window is what the script says of one key's log.
type window struct {
	now, clock, newest int64
	held               [maxTiers]int64 // by each tier's window
	law                *Law
}

// answerLog divides what the script said of runs among the checks in them.
func (p *plan) answerLog(e *entry, n *numbers, now int64, checks []Check, answers []Answer) {
	w := window{now: now, clock: n.next(), newest: n.next(), law: e.law}
	for t := range e.law.tiers {
		w.held[t] = n.next()
		n.bad = n.bad || w.held[t] < 0
	}
	for at := e.head; at >= 0; {
		kind, weight := checks[at].asked()
		taken, wait, tier := n.next(), n.next(), int(n.next())-1
		if n.bad || taken < 0 || tier < -1 || tier >= len(e.law.tiers) {
			n.bad = true
			return
		}
		for k, q := kind, weight; at >= 0 && k == kind && q == weight; {
			a := &answers[at]
			switch {
			case kind == Take && taken >= weight:
				a.Taken = weight
			case kind == TakeUpTo:
				a.Taken = min(weight, taken)
			}
			taken -= a.Taken
			if a.Taken > 0 {
				w.take(a.Taken)
				a.Since = w.clock
			}
			w.fill(a, wait, tier, kind == Peek || a.Taken == 0)
			if at = p.next[at]; at >= 0 {
				k, q = checks[at].asked()
			}
		}
	}
}

func (w *window) take(n int64) {
	for t := range w.law.tiers {
		w.held[t] += n
	}
	w.newest = w.clock
}

// fill fills in the numbers of the tier that refuses, if it does, and otherwise of that
// with the least left.
func (w *window) fill(a *Answer, wait int64, tier int, refused bool) {
	a.At = w.now
	if refused && tier >= 0 {
		a.Tier, a.RetryAfter = tier, -1
		if wait >= 0 {
			a.RetryAfter = micros(wait)
		}
	} else {
		a.Tier = 0
		for t := range w.law.tiers {
			if w.left(t) < w.left(a.Tier) {
				a.Tier = t
			}
		}
	}
	t := w.law.tiers[a.Tier]
	a.Limit, a.Remaining = t.Count, w.left(a.Tier)
	if w.newest > 0 {
		a.ResetAfter = max(0, micros(w.newest-w.now)+t.Period)
	}
}

func (w *window) left(tier int) int64 { return max(0, w.law.tiers[tier].Count-w.held[tier]) }
