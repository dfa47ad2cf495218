package refusal

import (
	"errors"
	"testing"
	"time"
)

// again is an error that knows when to come back.
type again time.Duration

func (again) Error() string               { return "again" }
func (a again) RetryAfter() time.Duration { return time.Duration(a) }

func TestAWaitIsExactAndWithinBounds(t *testing.T) {
	for _, tt := range []struct {
		name  string
		err   error
		want  time.Duration
		known bool
	}{
		{"nobody knows", errors.New("x"), time.Second, false},
		{"to the nanosecond", again(1500*time.Millisecond + 1), 1500*time.Millisecond + 1, true},
		{"at once", again(0), time.Millisecond, true},
		{"before now", again(-time.Hour), time.Millisecond, true},
		{"next week", again(7 * 24 * time.Hour), 24 * time.Hour, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if d, known := Wait(tt.err); d != tt.want || known != tt.known {
				t.Errorf("%v, %v, want %v, %v", d, known, tt.want, tt.known)
			}
		})
	}
}
