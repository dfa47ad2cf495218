package exchange

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// MaxSkew is how far the clocks of two nodes may differ before a request is taken for late
// that is not.
const MaxSkew = time.Second

// ID names an exchange: all attempts of one have the same, and no two exchanges of any
// nodes do, unless As says so.
type ID string

// Attempt is what a request says of itself.
type Attempt struct {
	ID     ID
	Number int // from 1; attempts made side by side are numbered too
	// Deadline is when the asker loses interest in this attempt, by the clock of this node.
	Deadline time.Time
}

// header is the name of the header that carries an Attempt: its ID, number, deadline and
// time left, both in nanoseconds, and the actor system that it is of, with blanks between.
const header = "bulwark-exchange"

// write returns the header's value.
func (a Attempt) write(left time.Duration, system string) string {
	b := make([]byte, 0, len(a.ID)+len(system)+48)
	b = append(b, a.ID...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(a.Number), 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, a.Deadline.UnixNano(), 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(left), 10)
	b = append(b, ' ')
	b = append(b, system...)
	return string(b)
}

// read is the opposite of write, in a system at a time. What others wrote may be anything.
func read(value, system string, now time.Time) (a Attempt, ok bool) {
	if value == "" {
		return a, false
	}
	var fields [5]string
	for i := range fields[:4] {
		if fields[i], value, ok = strings.Cut(value, " "); !ok {
			return Attempt{}, false
		}
	}
	fields[4] = value
	number, err1 := strconv.Atoi(fields[1])
	by, err2 := strconv.ParseInt(fields[2], 10, 64)
	left, err3 := strconv.ParseInt(fields[3], 10, 64)
	if fields[0] == "" || err1 != nil || err2 != nil || err3 != nil || number < 1 {
		return Attempt{}, false
	}
	a = Attempt{ID: ID(fields[0]), Number: number, Deadline: time.Unix(0, by)}
	if fields[4] != system {
		a.Deadline = elsewhere(a.Deadline, time.Duration(left), now)
	}
	return a, true
}

// elsewhere is what a deadline by the clock of another node is by that of this one.
func elsewhere(by time.Time, left time.Duration, now time.Time) time.Time {
	by = by.Add(MaxSkew)
	if latest := now.Add(left); latest.Before(by) {
		return latest
	}
	return by
}

// Of returns what the message that is being handled says of itself; ok is false if it is
// not a request of an Exchanger. In a continuation (actor.Context.ReenterAfter, Then) it is
// about the message that this goes on with.
func Of(c actor.Context) (a Attempt, ok bool) {
	h := c.MessageHeader()
	if h == nil {
		return a, false
	}
	return read(h.Get(header), c.ActorSystem().ID, time.Now())
}

// Context returns a context that ends with parent, and when the asker of the message that
// is being handled loses interest, with the cause ErrTimeout. It is for work that goes on
// outside of the actor's turn: what the actor asks of others within the request ends by
// itself.
func Context(c actor.Context, parent context.Context) (context.Context, context.CancelFunc) { //nolint:revive // c comes first everywhere
	if a, ok := Of(c); ok {
		return context.WithDeadlineCause(parent, a.Deadline, ErrTimeout)
	}
	return context.WithCancel(parent)
}

// checkID returns why id cannot be one.
func checkID(id ID) error {
	if id == "" || strings.ContainsAny(string(id), " \n\r\t") || len(id) > MaxID {
		return fmt.Errorf("ID %q: must be 1 to %d bytes without blanks", id, MaxID)
	}
	return nil
}

// MaxID is how many bytes an ID may have.
const MaxID = 256
