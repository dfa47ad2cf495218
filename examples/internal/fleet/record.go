package fleet

import "time"

// Admission is a request that was let through: decided some time between the two.
type Admission struct {
	Process         int
	Asked, Answered time.Duration // since the start
}

// Second is what became of one second of a run.
type Second struct {
	From     time.Duration // since the start
	Redis    State
	By       []int // admitted, by process
	Together int
}

// State is how Redis was during a second.
type State string

// The states.
const (
	Up     State = "runs"
	Down   State = "down"
	Absent State = "absent"
)

// Most returns the most that were admitted in any stretch as long as d: those that were
// asked for after its start and answered before its end were decided in it.
func Most(all []Admission, d time.Duration) int {
	most := 0
	for _, first := range all {
		n := 0
		for _, a := range all {
			if a.Asked >= first.Asked && a.Answered < first.Asked+d {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}
