package supervisor

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/supervisor/intensity"
)

var _ patterns.Event = GaveUp{}

func TestABadConfigIsRefusedWithEveryFault(t *testing.T) {
	s, err := OneForOne(Config{Intensity: intensity.Config{Restarts: -7, Period: -7}})
	if s != nil || err == nil {
		t.Fatalf("got %v", err)
	}
	fault, ok := errors.AsType[*patterns.ConfigError](err)
	if !ok || fault.Field != "Intensity.Restarts" || !strings.Contains(err.Error(), "Period") {
		t.Errorf("got %v", err)
	}
}

func TestDirectivesHaveNames(t *testing.T) {
	for d, want := range map[Directive]string{
		Restart: "restart", Stop: "stop", Resume: "resume", Escalate: "escalate", 9: "directive(9)",
	} {
		if d.String() != want {
			t.Errorf("%d is %q, want %q", d, d, want)
		}
	}
}

func TestTheReasonHandedUpReadsAsASentence(t *testing.T) {
	err := &TooManyRestartsError{Supervisor: "boss", Child: "boss/a", Restarts: 3, Period: time.Minute, Reason: "ouch"}
	if want := "supervisor boss: more than 3 restarts in 1m0s: child boss/a failed: ouch"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	if !errors.Is(err, ErrTooManyRestarts) {
		t.Error("does not match ErrTooManyRestarts")
	}
}

func TestGaveUpLogsItsFields(t *testing.T) {
	var out strings.Builder
	log := slog.New(slog.NewTextHandler(&out, nil))
	e := GaveUp{Name: "n", Supervisor: "boss", Child: "boss/a", Reason: "ouch", Cause: CauseIntensity, Directive: Escalate}
	log.Log(t.Context(), e.Level(), "x", slog.Any("event", e))
	want := "level=WARN msg=x event.event=gave-up event.name=n event.supervisor=boss event.child=boss/a " +
		"event.reason=ouch event.cause=intensity event.directive=escalate event.at=0001-01-01T00:00:00.000Z\n"
	if _, got, _ := strings.Cut(out.String(), " "); got != want {
		t.Errorf("got %q", got)
	}
}
