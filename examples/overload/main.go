// Overload sends an actor ten times what it can do. You will see that with proto.actor's
// own mailbox urgent orders wait behind everything that came before; that with a bounded
// one with priorities they wait as long as on a quiet day, that what is too much is
// refused at once, and that nobody is left without an answer.
package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/zap"

	"github.com/bulwark-go/bulwark/integrations/zaplog"
	"github.com/bulwark-go/bulwark/mailbox"
)

func main() {
	log := zap.Must(zap.NewDevelopment())
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx, log); err != nil {
		log.Fatal("overload failed", zap.Error(err))
	}
}

func run(ctx context.Context, log *zap.Logger) error {
	system := actor.NewActorSystem(zaplog.ForActorSystem(log))
	defer system.Shutdown()
	bounded, err := mailbox.New(
		mailbox.Capacity(50), mailbox.OnFull(mailbox.DropLowest), // an urgent order takes the place of an ordinary one
		mailbox.Lanes(urgency, 1, 16), // while both wait, one turn in 17 is for ordinary orders
	)
	if err != nil {
		return err
	}
	for _, day := range []day{
		{"A quiet day", bounded, 0},
		{"Ten times too much, proto.actor's unbounded mailbox", actor.Unbounded(), 10},
		{"Ten times too much, a bounded mailbox with priorities", bounded, 10},
	} {
		if err := day.run(ctx, system); err != nil {
			return err
		}
	}
	return nil
}

// urgency is the priority of a message, 0 being the lowest.
func urgency(msg any) int {
	if o, ok := msg.(order); ok && o.urgent {
		return 1
	}
	return 0
}

// day is a hundred orders' time of the desk, with so many ordinary ones coming meanwhile
// for each that it completes.
type day struct {
	name string
	box  actor.MailboxProducer
	load int
}

const (
	lasts  = 100 // orders
	urgent = 5   // one order in so many is accompanied by an urgent one
)

func (d day) run(ctx context.Context, system *actor.ActorSystem) error {
	desk := newDesk()
	pid := system.Root.Spawn(desk.props(d.box))
	answers := make(chan answer, lasts*(d.load+1))
	customer := system.Root.Spawn(customer(answers))
	sent := 0
	over := sync.OnceFunc(func() { close(desk.over) })
	defer over()
	place := func(urgent bool) {
		system.Root.RequestWithCustomSender(pid, order{urgent, time.Now(), desk.served.Load()}, customer)
		sent++
	}
	for i := range lasts {
		if i%urgent == 0 {
			place(true)
		}
		for range d.load {
			place(false)
		}
		if d.load > 0 || i%urgent == 0 {
			if err := desk.wait(ctx); err != nil {
				return err
			}
		}
	}
	over()
	all, err := collect(ctx, answers, sent)
	if err != nil {
		return err
	}
	all.print(d.name)
	if stats, err := mailbox.StatsOf(ctx, system.Root, pid); err == nil && stats.Drops.Total() > 0 {
		fmt.Printf("  the mailbox has dropped %d, and has %d left\n", stats.Drops.Total(), stats.Depth)
	}
	system.Root.Stop(customer)
	return system.Root.StopFuture(pid).Wait()
}

// outcome is what became of a day's orders.
type outcome struct {
	waits                           []time.Duration // of urgent orders
	behind                          []int           // how many others were served before each of them
	urgentServed, urgentRefused     int
	ordinaryServed, ordinaryRefused int
}

// collect returns once every order was answered.
func collect(ctx context.Context, answers <-chan answer, n int) (o outcome, err error) {
	for range n {
		select {
		case a := <-answers:
			o.add(a)
		case <-ctx.Done():
			return o, ctx.Err()
		}
	}
	return o, nil
}

func (o *outcome) add(a answer) {
	switch {
	case !a.order.urgent && a.refused:
		o.ordinaryRefused++
	case !a.order.urgent:
		o.ordinaryServed++
	case a.refused:
		o.urgentRefused++
	default:
		o.urgentServed++
		o.waits = append(o.waits, a.after)
		o.behind = append(o.behind, a.behind)
	}
}

func (o *outcome) print(name string) {
	fmt.Println(name)
	slices.Sort(o.waits)
	slices.Sort(o.behind)
	fmt.Printf("  urgent: %d served, %d refused; half of them waited for at most %d others, and %v\n",
		o.urgentServed, o.urgentRefused, o.behind[len(o.behind)/2], o.waits[len(o.waits)/2].Round(time.Millisecond/10))
	fmt.Printf("  ordinary: %d served, %d refused at once\n", o.ordinaryServed, o.ordinaryRefused)
}
