package actors

import "testing"

func TestAllocsOfAnEventThatNobodyHears(t *testing.T) {
	r := new(relay)
	ev := Event(Stopped{Name: "b"})
	if got := testing.AllocsPerRun(1000, func() { r.publish(ev) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}
