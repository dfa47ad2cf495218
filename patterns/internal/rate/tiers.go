package rate

// Tiers are several rules that hold at once: all of them let a request pass, or none
// is charged. The words of the rules lie one after the other.
type Tiers struct {
	rules []Rule
	ends  []int   // of each rule's words
	only  *Bucket // if that is the only rule
	books bool    // all rules are Indebting
}

// NewTiers returns the rules as one. There is at least one.
func NewTiers(rules ...Rule) *Tiers {
	t := &Tiers{rules: rules, ends: make([]int, len(rules))}
	end := 0
	t.books = true
	for i, r := range rules {
		end += r.Words()
		t.ends[i] = end
		_, books := r.(Indebting)
		t.books = t.books && books
	}
	if len(rules) == 1 {
		t.only, _ = rules[0].(*Bucket)
	}
	return t
}

// Len is how many rules there are.
func (t *Tiers) Len() int { return len(t.rules) }

// Rule returns a rule.
func (t *Tiers) Rule(tier int) Rule { return t.rules[tier] }

// Words is how many words all rules have together.
func (t *Tiers) Words() int { return t.ends[len(t.ends)-1] }

// Of returns a rule's words of s.
func (t *Tiers) Of(s []uint64, tier int) []uint64 {
	if tier == 0 {
		return s[:t.ends[0]]
	}
	return s[t.ends[tier-1]:t.ends[tier]]
}

// Start makes s a key that has used nothing.
func (t *Tiers) Start(s []uint64, now int64) {
	for i, r := range t.rules {
		r.Start(t.Of(s, i), now)
	}
}

// Drain makes s a key that has used everything.
func (t *Tiers) Drain(s []uint64, now int64) {
	for i, r := range t.rules {
		Drain(r, t.Of(s, i), now)
	}
}

// Wait is the longest wait of any rule, and which rule that is: the first of them,
// and -1 if n pass now. What one rule admits at some time it admits later, so that
// all admit n together after the longest wait.
func (t *Tiers) Wait(s []uint64, now, n int64) (wait int64, tier int) {
	tier = -1
	for i, r := range t.rules {
		switch w := r.Wait(t.Of(s, i), now, n); {
		case w < 0:
			return -1, i
		case w > wait:
			wait, tier = w, i
		}
	}
	return wait, tier
}

// Take is Wait, and Charge if that is 0. n is at least 1.
func (t *Tiers) Take(s []uint64, now, n int64) (wait int64, tier int) {
	if t.only != nil {
		return t.only.Take(s, now, n), 0
	}
	if wait, tier = t.Wait(s, now, n); wait == 0 {
		t.Charge(s, now, n)
	}
	return wait, tier
}

// WaitBehind is Wait with ahead permits to be taken by others before. It is never too
// long, and it may be too short: while one rule lets the queue wait, another recovers.
func (t *Tiers) WaitBehind(s []uint64, now, ahead, n int64) (wait int64, tier int) {
	tier = -1
	for i, r := range t.rules {
		switch w := r.WaitBehind(t.Of(s, i), now, ahead, n); {
		case w < 0:
			return -1, i
		case w > wait:
			wait, tier = w, i
		}
	}
	return wait, tier
}

// Indebting reports whether all the rules are.
func (t *Tiers) Indebting() bool { return t.books }

// Since is the earliest Since of any rule.
func (t *Tiers) Since(s []uint64, now int64) int64 {
	if t.only != nil {
		return t.only.Since(s, now)
	}
	earliest := t.rules[0].Since(t.Of(s, 0), now)
	for i := 1; i < len(t.rules); i++ {
		earliest = min(earliest, t.rules[i].Since(t.Of(s, i), now))
	}
	return earliest
}

// Charge takes n from all rules.
func (t *Tiers) Charge(s []uint64, now, n int64) {
	for i, r := range t.rules {
		r.Charge(t.Of(s, i), now, n)
	}
}

// Promise takes n of a time to come from all rules, which are Indebting.
func (t *Tiers) Promise(s []uint64, at, n int64) {
	for i, r := range t.rules {
		r.(Indebting).Promise(t.Of(s, i), at, n)
	}
}

// Late is Charge of n for somebody who has waited since from.
func (t *Tiers) Late(s []uint64, from, now, n int64) {
	for i, r := range t.rules {
		if d, ok := r.(Indebting); ok {
			d.Late(t.Of(s, i), from, now, n)
		} else {
			r.Charge(t.Of(s, i), now, n)
		}
	}
}

// Refund gives n back to all rules.
func (t *Tiers) Refund(s []uint64, since, now, n int64) {
	for i, r := range t.rules {
		r.Refund(t.Of(s, i), since, now, n)
	}
}

// Remaining is how many would pass now.
func (t *Tiers) Remaining(s []uint64, now int64) int64 {
	left := t.rules[0].Remaining(t.Of(s, 0), now)
	for i := 1; i < len(t.rules); i++ {
		left = min(left, t.rules[i].Remaining(t.Of(s, i), now))
	}
	return left
}

// Reset is how long from now all the rules are whole again.
func (t *Tiers) Reset(s []uint64, now int64) (longest int64) {
	for i, r := range t.rules {
		longest = max(longest, r.Reset(t.Of(s, i), now))
	}
	return longest
}

// Fresh reports whether s may be forgotten.
func (t *Tiers) Fresh(s []uint64, now int64) bool {
	for i, r := range t.rules {
		if !r.Fresh(t.Of(s, i), now) {
			return false
		}
	}
	return true
}

// Check returns what is wrong with s, or "".
func (t *Tiers) Check(s []uint64, now int64) string {
	for i, r := range t.rules {
		if problem := r.Check(t.Of(s, i), now); problem != "" {
			return problem
		}
	}
	return ""
}

// Convert makes of src under t the words dst under to, tier by tier; a tier that is new
// has used nothing. src and dst may be the same if both have as many words in each tier.
func (t *Tiers) Convert(src []uint64, to *Tiers, dst []uint64, now int64) {
	for i, r := range to.rules {
		if i < len(t.rules) {
			Convert(t.rules[i], t.Of(src, i), r, to.Of(dst, i), now)
		} else {
			r.Start(to.Of(dst, i), now)
		}
	}
}

// SameShape reports whether both lay their words out alike.
func (t *Tiers) SameShape(u *Tiers) bool {
	if len(t.ends) != len(u.ends) {
		return false
	}
	for i := range t.ends {
		if t.ends[i] != u.ends[i] {
			return false
		}
	}
	return true
}
