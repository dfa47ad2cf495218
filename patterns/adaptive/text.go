package adaptive

import (
	"strings"

	"github.com/bulwark-go/bulwark/patterns"
)

// queueText is what UnmarshalText reads.
const queueText = "fifo, lifo, adaptive-lifo or codel"

// MarshalText returns the queue's name, such as "adaptive-lifo".
func (q Queue) MarshalText() ([]byte, error) {
	if !q.Valid() {
		return nil, &patterns.TextError{Text: q.String(), Want: queueText}
	}
	return []byte(q.String()), nil
}

// UnmarshalText reads a queue's name, such as "adaptive-lifo". The error is a
// *patterns.TextError.
func (q *Queue) UnmarshalText(text []byte) error {
	name := strings.TrimSpace(string(text))
	for one := range queues {
		if one.String() == name {
			*q = one
			return nil
		}
	}
	return &patterns.TextError{Text: string(text), Want: queueText}
}
