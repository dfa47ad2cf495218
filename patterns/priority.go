package patterns

import "fmt"

// Priority says whose work may be refused first. The zero value is Normal.
type Priority int8

const (
	Background Priority = iota - 2
	Low
	Normal
	High
	Critical
)

// Valid reports whether p is one of the five priorities.
func (p Priority) Valid() bool { return p >= Background && p <= Critical }

func (p Priority) String() string {
	switch p {
	case Background:
		return "background"
	case Low:
		return "low"
	case Normal:
		return "normal"
	case High:
		return "high"
	case Critical:
		return "critical"
	}
	return fmt.Sprintf("priority(%d)", int8(p))
}
