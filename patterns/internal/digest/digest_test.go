package digest

import (
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

func TestTheFirstIsToldAtOnceAndTheRestTogether(t *testing.T) {
	const second = patterns.Instant(time.Second)
	var d Digest
	take := func(now patterns.Instant, want uint64, due patterns.Instant) {
		t.Helper()
		if n := d.Take(now); n != want || d.Due() != due {
			t.Errorf("at %d it tells of %d and is due at %d, want %d and %d", now, n, d.Due(), want, due)
		}
	}
	take(-5, 0, patterns.Never)
	d.Add()
	take(-5, 1, patterns.Never)
	d.Add()
	d.Add()
	take(second-6, 0, second-5)
	take(second-5, 2, patterns.Never)
	take(9*second, 0, patterns.Never)
	d.Add()
	take(9*second, 1, patterns.Never)
}
