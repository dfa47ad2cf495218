package samples

import (
	"testing"
	"time"
)

func TestABatchIsDueWhenItIsFullOrItsFirstIsASecondOld(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	full, old := new(Batch), new(Batch)
	for i := range Size {
		if due := full.Add(now, time.Duration(i)); due != (i == Size-1) {
			t.Errorf("with %d samples it is due: %v", i+1, due)
		}
	}
	for i, took := range full.All() {
		if took != time.Duration(i) {
			t.Errorf("%v at %d", took, i)
		}
	}
	if old.Add(now, 1) || old.Add(now.Add(patience-1), 2) || !old.Add(now.Add(patience), 3) {
		t.Error("its time is another")
	}
	if got := Of(1, 2).All(); len(got) != 2 || got[1] != 2 {
		t.Errorf("%v", got)
	}
}
