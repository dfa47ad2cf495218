package patterns

import "fmt"

// Order says in what order the host serves requests that wait.
type Order uint8

const (
	// FIFO: the highest priority first, and in each priority the oldest first.
	FIFO Order = iota
	// LIFO: the highest priority first, and in each priority the newest first. Under
	// overload the newest still has somebody waiting for its answer.
	LIFO
	// Fair: the highest priority first, and in each priority the keys take turns, so that
	// a key with many requests does not make the others wait.
	Fair
	// Keyed: each key has a queue of its own, because each has its own capacity. In a
	// queue it is as with FIFO.
	Keyed

	orders
)

// Valid reports whether o is one of the orders above.
func (o Order) Valid() bool { return o < orders }

func (o Order) String() string {
	switch o {
	case FIFO:
		return "fifo"
	case LIFO:
		return "lifo"
	case Fair:
		return "fair"
	case Keyed:
		return "keyed"
	}
	return fmt.Sprintf("order(%d)", uint8(o))
}

// Queue is what the host tells a Machine of the requests that wait, when it asks whether
// one more may.
type Queue struct {
	// Waiting is how many there are, and Total how many in all queues: they differ only
	// in Keyed order.
	Waiting, Total int
	// Ahead is the weight of those that would be served before a newcomer in FIFO order.
	Ahead int
	// Oldest is since when the one that waits for longest does; Never if none does.
	Oldest Instant
}
