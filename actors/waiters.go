package actors

import "github.com/bulwark-go/bulwark/patterns"

// levels is the number of priorities.
const levels = int(patterns.Critical-patterns.Background) + 1

func level(p patterns.Priority) int { return int(p - patterns.Background) }

// waiters are the requests that wait for capacity. They stand in lines: one for all, or,
// where the order is Fair or Keyed, one for each key.
type waiters struct {
	count    int
	standing int // of them, producers
	*lines
}

// lines are made when the first request has to wait: most guards never need them.
type lines struct {
	order          patterns.Order
	byKey          map[string]*line
	rings          [levels + 1]lineRing // of each level those that have somebody in it; the last one has all
	weights        [levels]int
	oldest, newest *call // by arrival
	spare          *line // that were left by all, to be used again
	spares         int
}

const maxSpares = 64

// line is a queue of its own in each level.
type line struct {
	key        string
	count      int
	standing   int // of them, producers
	lists      [levels]waitList
	prev, next [levels + 1]*line
	alarm      patterns.Instant // when to ask again for its head; Never if nothing is set
	alarmID    uint64
}

// waitList is a doubly linked list through the calls themselves.
type waitList struct {
	first, last *call
	weight      int
}

// lineRing lists lines in the order of their turns.
type lineRing struct{ first, last *line }

const allLines = levels

func (r *lineRing) add(l *line, i int) {
	l.prev[i], l.next[i] = r.last, nil
	if r.last != nil {
		r.last.next[i] = l
	} else {
		r.first = l
	}
	r.last = l
}

func (r *lineRing) remove(l *line, i int) {
	if l.prev[i] != nil {
		l.prev[i].next[i] = l.next[i]
	} else {
		r.first = l.next[i]
	}
	if l.next[i] != nil {
		l.next[i].prev[i] = l.prev[i]
	} else {
		r.last = l.prev[i]
	}
	l.prev[i], l.next[i] = nil, nil
}

// maxWeight is what a request weighs at most in sums, which then overflow for nobody.
const maxWeight = 1 << 40

func weightOf(r *patterns.Request) int { return min(max(1, r.Weight), maxWeight) }

// standing is 1 for a producer, whom no queue has to make room for, and otherwise 0.
func standing(c *call) int {
	if c.credit != nil {
		return 1
	}
	return 0
}

func (ls *lines) lineKey(key string) string {
	if ls.order == patterns.Fair || ls.order == patterns.Keyed {
		return key
	}
	return ""
}

// add makes c wait.
func (w *waiters) add(c *call, order patterns.Order) *line {
	if w.lines == nil {
		w.lines = &lines{byKey: make(map[string]*line)}
	}
	if w.count == 0 {
		w.order = order
	}
	c.older, c.newer = w.newest, nil
	if w.newest != nil {
		w.newest.newer = c
	} else {
		w.oldest = c
	}
	w.newest = c
	w.count++
	w.standing += standing(c)
	return w.stand(c)
}

// stand puts c at the end of its line.
func (ls *lines) stand(c *call) *line {
	key := ls.lineKey(c.request.Key)
	l := ls.byKey[key]
	if l == nil {
		if l = ls.spare; l == nil {
			l = new(line)
		} else {
			ls.spare = l.next[allLines]
			ls.spares--
		}
		*l = line{key: key, alarm: patterns.Never}
		ls.byKey[key] = l
		ls.rings[allLines].add(l, allLines)
	}
	i := level(c.request.Priority)
	list := &l.lists[i]
	c.line, c.prev, c.next = l, list.last, nil
	if list.last != nil {
		list.last.next = c
	} else {
		list.first = c
		ls.rings[i].add(l, i)
	}
	list.last = c
	l.count++
	l.standing += standing(c)
	list.weight += weightOf(&c.request)
	ls.weights[i] += weightOf(&c.request)
	return l
}

// remove takes c out, wherever it stands. It returns false if c does not wait.
func (w *waiters) remove(c *call) bool {
	if c.line == nil {
		return false
	}
	w.stepOut(c)
	if c.older != nil {
		c.older.newer = c.newer
	} else {
		w.oldest = c.newer
	}
	if c.newer != nil {
		c.newer.older = c.older
	} else {
		w.newest = c.older
	}
	c.older, c.newer = nil, nil
	w.count--
	w.standing -= standing(c)
	return true
}

// stepOut takes c out of its line.
func (ls *lines) stepOut(c *call) {
	l, i := c.line, level(c.request.Priority)
	list := &l.lists[i]
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		list.first = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	} else {
		list.last = c.prev
	}
	c.line, c.prev, c.next = nil, nil, nil
	list.weight -= weightOf(&c.request)
	ls.weights[i] -= weightOf(&c.request)
	l.standing -= standing(c)
	if list.first == nil {
		ls.rings[i].remove(l, i)
	}
	if l.count--; l.count == 0 {
		delete(ls.byKey, l.key)
		ls.rings[allLines].remove(l, allLines)
		l.alarm, l.alarmID = patterns.Never, 0
		if ls.spares < maxSpares {
			l.key, l.next[allLines] = "", ls.spare
			ls.spare = l
			ls.spares++
		}
	}
}

// reorder puts everybody in line again, in the order of arrival, and reports whether that
// changed anything.
func (w *waiters) reorder(order patterns.Order) (changed bool) {
	if w.lines == nil || w.order == order {
		return false
	}
	same := func(o patterns.Order) bool { return o == patterns.FIFO || o == patterns.LIFO }
	if same(w.order) && same(order) {
		w.order = order
		return true
	}
	for c := w.oldest; c != nil; c = c.newer {
		w.stepOut(c)
	}
	w.order = order
	for c := w.oldest; c != nil; c = c.newer {
		w.stand(c)
	}
	return true
}

// head returns the request whose turn is next, or nil. In Keyed order each line has a
// head of its own.
func (w *waiters) head() *call {
	if w.count == 0 {
		return nil
	}
	for i := levels - 1; i >= 0; i-- {
		if l := w.rings[i].first; l != nil {
			if w.order == patterns.LIFO {
				return l.lists[i].last
			}
			return l.lists[i].first
		}
	}
	return nil
}

// head returns the request of the line whose turn is next.
func (l *line) head() *call {
	for i := levels - 1; i >= 0; i-- {
		if c := l.lists[i].first; c != nil {
			return c
		}
	}
	return nil
}

// nextLine returns a line, another one each time, or nil if there is none.
func (ls *lines) nextLine() *line {
	l := ls.rings[allLines].first
	if l != nil {
		ls.rings[allLines].remove(l, allLines)
		ls.rings[allLines].add(l, allLines)
	}
	return l
}

// served makes it the next line's turn, after one in level i was served.
func (ls *lines) served(l *line, i int) {
	if ls.order == patterns.Fair && l.lists[i].first != nil {
		ls.rings[i].remove(l, i)
		ls.rings[i].add(l, i)
	}
}

// ahead reports whether somebody waits whom the newcomer r must not overtake.
func (w *waiters) ahead(r *patterns.Request) bool {
	if w.count == 0 {
		return false
	}
	from := level(r.Priority)
	switch w.order {
	case patterns.Keyed:
		l := w.byKey[r.Key]
		for i := levels - 1; l != nil && i >= from; i-- {
			if l.lists[i].first != nil {
				return true
			}
		}
		return false
	case patterns.LIFO:
		from++
	}
	for i := levels - 1; i >= from; i-- {
		if w.rings[i].first != nil {
			return true
		}
	}
	return false
}

// view is what the rules are told of the queue that the newcomer r would join.
func (w *waiters) view(r *patterns.Request) patterns.Queue {
	q := patterns.Queue{Waiting: w.count - w.standing, Total: w.count - w.standing, Oldest: patterns.Never}
	if w.count == 0 {
		return q
	}
	from := level(r.Priority)
	if w.order != patterns.Keyed {
		q.Oldest = w.oldest.request.Asked
		for i := levels - 1; i >= from; i-- {
			q.Ahead += w.weights[i]
		}
		return q
	}
	q.Waiting = 0
	if l := w.byKey[r.Key]; l != nil {
		q.Waiting = l.count - l.standing
		for i := range l.lists {
			if first := l.lists[i].first; first != nil {
				q.Oldest = min(q.Oldest, first.request.Asked)
			}
			if i >= from {
				q.Ahead += l.lists[i].weight
			}
		}
	}
	return q
}
