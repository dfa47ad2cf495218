package aqm

import (
	"github.com/bulwark-go/bulwark/internal/codel"
	"github.com/bulwark-go/bulwark/patterns"
)

// CoDel is the control law of RFC 8289, on the patterns' clock.
type CoDel = codel.CoDel[patterns.Instant]
