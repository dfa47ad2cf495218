package policyerr

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

func TestWhatPoliciesSeeIsTheAttemptsErrorAndMore(t *testing.T) {
	down := errors.New("down")
	for _, tt := range []struct {
		name  string
		err   error
		final bool
		wait  time.Duration
		known bool
		own   error
	}{
		{"final", Also(down, patterns.ErrFinal), true, 0, false, down},
		{"later", After(down, time.Second, nil), false, time.Second, true, down},
		{"both", After(down, time.Second, patterns.ErrFinal), true, time.Second, true, down},
		{"neither", down, false, 0, false, down},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wait, known := patterns.RetryAfter(tt.err)
			if errors.Is(tt.err, patterns.ErrFinal) != tt.final || wait != tt.wait || known != tt.known || !errors.Is(tt.err, down) {
				t.Errorf("%#v", tt.err)
			}
			if got := Own(tt.err); got != tt.own { //nolint:errorlint // unchanged
				t.Errorf("own %v", got)
			}
			if tt.err.Error() != "down" {
				t.Errorf("reads %q", tt.err)
			}
		})
	}
	around := fmt.Errorf("tried: %w", Also(down, patterns.ErrFinal))
	if got := Own(around); got != around { //nolint:errorlint // unchanged
		t.Errorf("own %v", got)
	}
}
