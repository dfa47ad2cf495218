package faults

import (
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

func TestAFieldThatIsFixedMayOnlyStayAsItIs(t *testing.T) {
	f := Of("gate")
	f.Fixed("gate", "Mode", patterns.Leased(64, 0), patterns.Leased(64, 0))
	f.Fixed("gate", "CallTimeout", time.Duration(0), time.Duration(0))
	if f.Any() || f.Err() != nil {
		t.Fatalf("nothing changed: %v", f.Err())
	}
	f.Fixed("gate", "OnFailure", patterns.FailOpen, patterns.FailClosed)
	f.Fixed("gate", "CallTimeout", time.Second, time.Minute)
	want := "gate: OnFailure fail-closed: is fixed while the gate runs, at fail-open\n" +
		"gate: CallTimeout 1m0s: is fixed while the gate runs, at 1s"
	if err := f.Err(); err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}
