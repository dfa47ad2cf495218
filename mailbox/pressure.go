package mailbox

import "time"

// marks is the hysteresis of the water marks.
type marks struct {
	high, said bool
	telling    bool // a goroutine is about to say what is new
}

// pressed looks whether a mark was passed. b.mu is held.
func (b *box) pressed(e *errands) {
	if b.high == 0 || b.m.word.Load()&unopened != 0 {
		return
	}
	m, n := &b.marks, b.shelf.Count()
	switch {
	case !m.high && n >= b.high:
		m.high = true
	case m.high && n <= b.low:
		m.high = false
		b.supply(e)
	}
	if m.high != m.said && !m.telling {
		m.telling = true
		go b.tellPressure()
	}
}

// tellPressure publishes what is new until nothing is.
func (b *box) tellPressure() {
	for {
		b.mu.Lock()
		m := &b.marks
		if m.telling = m.high != m.said; !m.telling {
			b.mu.Unlock()
			return
		}
		m.said = m.high
		e := Pressure{Who: b.m.host.self, High: m.high, Depth: b.shelf.Count(), Low: b.low, Mark: b.high, At: time.Now()}
		b.mu.Unlock()
		b.publish(e, "the pressure on a mailbox changed")
	}
}
