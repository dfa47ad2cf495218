package supervisor_test

import (
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/supervisor"
	"github.com/bulwark-go/bulwark/supervisor/intensity"
)

func ExampleOneForOne() {
	supervision, err := supervisor.OneForOne(supervisor.Config{
		Name:      "orders",
		Intensity: intensity.Config{Restarts: 2, Period: time.Minute},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slog.NewTextHandler(io.Discard, nil))
	}))
	defer system.Shutdown()
	done := make(chan struct{})
	system.EventStream.Subscribe(func(e any) {
		if e, ok := e.(supervisor.GaveUp); ok {
			fmt.Printf("%s gave up %s: %v\n", e.Source(), e.Child, e.Reason)
			close(done)
		}
	})

	worker := actor.PropsFromFunc(func(c actor.Context) {
		switch c.Message().(type) {
		case *actor.Started:
			fmt.Println("worker started")
		case string:
			panic("out of paper")
		}
	})
	boss := actor.PropsFromFunc(func(c actor.Context) {
		switch msg := c.Message().(type) {
		case *actor.Started:
			if _, err := c.SpawnNamed(worker, "printer"); err != nil {
				panic(err)
			}
		case string:
			c.Send(c.Children()[0], msg)
		}
	}, supervision.Supervise)

	pid := system.Root.Spawn(boss)
	for range 3 {
		system.Root.Send(pid, "print")
	}
	<-done
	// Output:
	// worker started
	// worker started
	// worker started
	// orders gave up $1/printer: out of paper
}
