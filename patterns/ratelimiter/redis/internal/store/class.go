package store

import "fmt"

// String names the class.
func (c Class) String() string { return fmt.Sprintf("class %d", uint8(c)) }

// NotRun reports whether it is certain that nothing was decided, so that to ask once more
// counts nothing twice.
func (c Class) NotRun() bool {
	switch c {
	case Unknown, TimedOut, Broken, Cancelled, Protocol:
		return false
	}
	return true
}
