package fleet

import (
	"testing"
	"time"
)

func TestMostCountsWhatWasDecidedInAStretch(t *testing.T) {
	const ms = time.Millisecond
	at := func(asked, answered time.Duration) Admission {
		return Admission{Asked: asked * ms, Answered: answered * ms}
	}
	for _, tt := range []struct {
		name string
		all  []Admission
		want int
	}{
		{"nothing", nil, 0},
		{"all within", []Admission{at(0, 1), at(10, 11), at(998, 999)}, 3},
		{"the end is not within", []Admission{at(0, 1), at(999, 1000)}, 1},
		{"what was asked for before may have been decided before", []Admission{at(0, 900), at(1, 2), at(990, 1000)}, 2},
		{"a stretch begins anywhere", []Admission{at(0, 1), at(900, 901), at(1500, 1501), at(1899, 1899)}, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Most(tt.all, time.Second); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}
