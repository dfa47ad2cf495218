package nethttp_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns"
)

func TestThatThereIsNothingToAskIsNamedBesideEveryOtherFault(t *testing.T) {
	_, guard := nethttp.New(nil, nethttp.TimeoutStatus(418))
	_, limit := nethttp.NewRateLimit(nil, nethttp.TimeoutStatus(418))
	for err, what := range map[error]string{guard: "nil guard", limit: "no Limiter"} {
		if !errors.Is(err, patterns.ErrNilGuard) || !strings.Contains(err.Error(), what) || !strings.Contains(err.Error(), "TimeoutStatus 418") {
			t.Errorf("want %s and the status, got %v", what, err)
		}
	}
}
