package exchange_test

import (
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/actors/exchange"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
	"github.com/bulwark-go/bulwark/patterns/retry"
	"github.com/bulwark-go/bulwark/patterns/timeout"
)

// One request from an actor to another and back, told from outside: what is asked under a
// guard, beside proto.actor's future, with and without its timer.
func BenchmarkExchange(b *testing.B) {
	guards := actorstest.NewRegistry(b)
	system := guards.System()
	x, err := exchange.New(system, exchange.Config{})
	if err != nil {
		b.Fatal(err)
	}
	breaker, err1 := circuitbreaker.Spawn(guards, "breaker", circuitbreaker.Config{})
	again, err2 := retry.Spawn(guards, "again", retry.Config{})
	soon, err3 := timeout.Spawn(guards, "soon", timeout.Config{PerAttempt: time.Second})
	for _, err := range []error{err1, err2, err3} {
		if err != nil {
			b.Fatal(err)
		}
	}
	all, err := pipeline.New("all", again, breaker, soon)
	if err != nil {
		b.Fatal(err)
	}
	echo := actor.PropsFromFunc(func(c actor.Context) {
		if c.Sender() != nil {
			c.Respond(c.Message())
		}
	})
	once, err := exchange.NewOnce(exchange.OnceConfig{})
	if err != nil {
		b.Fatal(err)
	}
	to := system.Root.Spawn(echo)
	careful := system.Root.Spawn(echo.Clone(once.Attach))
	answered := make(chan struct{}, 1)
	ask := func(g patterns.Guard, to *actor.PID, opts ...exchange.Option) func(c actor.Context) {
		return func(c actor.Context) {
			if _, err := x.Ask(c, g, to, "go", opts...); err != nil {
				b.Error(err)
			}
		}
	}
	then := exchange.Then(func(exchange.Answered) { answered <- struct{}{} })
	future := func(timeout time.Duration) func(c actor.Context) {
		return func(c actor.Context) {
			c.ReenterAfter(c.RequestFuture(to, "go", timeout), func(any, error) { answered <- struct{}{} })
		}
	}
	for _, row := range []struct {
		name string
		ask  func(c actor.Context)
	}{
		{"Future", future(-1)},
		{"FutureWithTimeout", future(time.Second)},
		{"Breaker", ask(breaker, to)},
		{"BreakerThen", ask(breaker, to, then)},
		{"RetryBreakerTimeout", ask(all, to)},
		{"RetryBreakerTimeoutOnce", ask(all, careful)},
	} {
		b.Run(row.name, func(b *testing.B) {
			pid := system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
				switch m := c.Message().(type) {
				case turn:
					m(c)
				case exchange.Answered:
					answered <- struct{}{}
				}
			}))
			begin := turn(row.ask)
			b.ReportAllocs()
			for b.Loop() {
				system.Root.Send(pid, begin)
				<-answered
			}
			_ = system.Root.StopFuture(pid).Wait()
		})
	}
	if err := x.Stop(b.Context()); err != nil {
		b.Error(err)
	}
	for _, pid := range []*actor.PID{to, careful} {
		_ = system.Root.StopFuture(pid).Wait()
	}
}
