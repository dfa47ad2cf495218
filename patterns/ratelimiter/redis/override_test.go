package redislimiter_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
	redislimiter "github.com/bulwark-go/bulwark/patterns/ratelimiter/redis"
)

// Rates of single keys are those of an instance. One that does not know of them takes and gives
// no more than its own, and what it lets pass is used for the other.
func TestAnOverrideHoldsInItsInstance(t *testing.T) {
	prefix := rand.Text()
	var all [2]*redislimiter.Limiter
	for i := range all {
		all[i], _ = spawn(t, redislimiter.Config{
			Rate: ratelimiter.Rate{Count: 10, Per: 300 * 24 * time.Hour}, Client: servers.Client(t), Prefix: prefix,
			OnOutage: redislimiter.FailClosed, Timeout: 10 * time.Second,
		})
	}
	must(t, all[0].Override(t.Context(), "ann", ratelimiter.Rate{Count: 100, Per: 300 * 24 * time.Hour}))
	passed := 0
	for i := range 300 {
		if all[i%2].Allow("ann") {
			passed++
		}
	}
	if passed != 1+10 { // 1 of 100, and then the other knows of 10 at most
		t.Errorf("%d passed, want 11; the larger of both allows 100", passed)
	}
	must(t, all[1].Override(t.Context(), "bob", ratelimiter.Rate{Count: 100, Per: 300 * 24 * time.Hour}))
	must(t, all[0].Override(t.Context(), "bob", ratelimiter.Rate{Count: 100, Per: 300 * 24 * time.Hour}))
	passed = 0
	for i := range 300 {
		if all[i%2].Allow("bob") {
			passed++
		}
	}
	if passed != 100 {
		t.Errorf("given to both, %d passed, want 100", passed)
	}
}
