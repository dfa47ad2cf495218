package actors_test

import "os"

// soak is true for long runs.
var soak = os.Getenv("BULWARK_SOAK") != ""
