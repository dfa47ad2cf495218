package actors_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// soak is true for long runs.
var soak = os.Getenv("BULWARK_SOAK") != ""
