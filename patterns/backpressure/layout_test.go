package backpressure

import (
	"testing"
	"unsafe"
)

// Nothing else tells when somebody puts a field in between; only the bench gets slow.
func TestAnOrdinaryTurnStaysOnOneCacheLine(t *testing.T) {
	m := newTestMachine(Config{})
	if last := unsafe.Offsetof(m.dirty) + unsafe.Sizeof(m.dirty); last > 64 {
		t.Errorf("what an ordinary turn needs ends at %d", last)
	}
	if at := uintptr(unsafe.Pointer(m)) % 64; at != 0 {
		t.Errorf("it begins at %d of a line: a Machine of %d bytes is not aligned", at, unsafe.Sizeof(*m))
	}
}
