package actors

import (
	"testing"
	"unsafe"
)

// Nothing else tells when somebody puts a field in between; only the bench gets slow.
func TestWhatEveryTurnWritesIsOnOneCacheLine(t *testing.T) {
	var s shell
	first := unsafe.Offsetof(s.ledger) + unsafe.Offsetof(s.ledger.live)
	last := unsafe.Offsetof(s.counts) + unsafe.Offsetof(s.counts.Success)
	if first%cacheLine != 0 || last/cacheLine != first/cacheLine {
		t.Errorf("what every turn writes is at %d to %d", first, last+8)
	}
}
