package nethttp

import "time"

// Patient has what nobody wants read for as long as it takes: on a machine that is busy with
// something else, a response that has come may not be read in time.
func Patient(s *transportSettings) { s.drainFor = time.Hour }
