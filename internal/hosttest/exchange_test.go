package hosttest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/exchange"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
	"github.com/bulwark-go/bulwark/patterns/retry"
	"github.com/bulwark-go/bulwark/patterns/timeout"
)

// An exchange with an actor of another process: the first attempt is too slow, the second
// joins the work of the first; a request that is made again by its ID gets the same reply;
// and the callee's death is noticed at once.
func TestAnExchangeWithAnActorOfAnotherProcess(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	server, serverErr := process(ctx, "teller")
	stop, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = stop.Close()
		_ = server.Wait()
	}()
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the server did not say where it listens: %v\n%s", err, serverErr)
	}
	client, clientErr := process(ctx, "customer", "BULWARK_HOSTTEST_SERVER="+strings.TrimSpace(address))
	got, err := client.Output()
	if err != nil {
		t.Fatalf("client: %v\n%s\nserver:\n%s", err, clientErr, serverErr)
	}
	const want = `paid: work 1 of attempt 1, in time: true; more than one attempt: true
again: work 1 of attempt 1, in time: true; more than one attempt: false
dead: actor terminated before it replied: true
`
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s\nserver:\n%s", got, want, serverErr)
	}
}

// teller serves an actor that takes its time, until its standard input closes.
func teller() {
	system := newSystem()
	remote.NewRemote(system, remote.Configure("127.0.0.1", 0)).Start()
	once, err := exchange.NewOnce(exchange.OnceConfig{})
	if err != nil {
		panic(err)
	}
	works := 0
	props := actor.PropsFromFunc(func(c actor.Context) {
		what, ok := c.Message().(*wrapperspb.StringValue)
		if !ok {
			return
		}
		if what.GetValue() == "die" {
			os.Exit(0)
		}
		works++
		a, _ := exchange.Of(c)
		left := time.Until(a.Deadline)
		reply := fmt.Sprintf("work %d of attempt %d, in time: %v", works, a.Number, left > 0 && left <= time.Second)
		to := c.Sender()
		time.AfterFunc(1500*time.Millisecond, func() { system.Root.Send(to, wrapperspb.String(reply)) })
	}, once.Attach)
	if _, err := system.Root.SpawnNamed(props, "teller"); err != nil {
		panic(err)
	}
	fmt.Println(system.Address())
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// customer asks the teller at address.
func customer(address string) {
	system := newSystem()
	remote.NewRemote(system, remote.Configure("127.0.0.1", 0)).Start()
	guards, err := actors.NewRegistry(system)
	if err != nil {
		panic(err)
	}
	again, err1 := retry.Spawn(guards, "again", retry.Config{Attempts: 20, Backoff: retry.Constant(0)})
	soon, err2 := timeout.Spawn(guards, "soon", timeout.Config{PerAttempt: time.Second})
	bank, err3 := pipeline.New("bank", again, soon)
	patient, err4 := timeout.Spawn(guards, "patient", timeout.Config{PerAttempt: patience})
	x, err5 := exchange.New(system, exchange.Config{})
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		panic(err)
	}
	answers := make(chan exchange.Answered)
	asked := 0
	to := actor.NewPID(address, "teller")
	system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		switch m := c.Message().(type) {
		case *actor.Started:
		case exchange.Answered:
			answers <- m
		default:
			return
		}
		var err error
		switch asked++; asked {
		case 1, 2:
			_, err = x.Ask(c, bank, to, wrapperspb.String("pay"), exchange.As("order-7"))
		case 3:
			_, err = x.Ask(c, patient, to, wrapperspb.String("die"))
		}
		if err != nil {
			panic(err)
		}
	}))
	for _, name := range []string{"paid", "again"} {
		a := <-answers
		fmt.Printf("%s: %s; more than one attempt: %v\n", name, a.Reply.(*wrapperspb.StringValue).GetValue(), a.Attempts > 1)
	}
	a := <-answers
	fmt.Printf("dead: %v: %v\n", exchange.ErrTerminated, errors.Is(a.Err, exchange.ErrTerminated))
	if a.Err != nil {
		fmt.Fprintln(os.Stderr, a.Err, a.Elapsed)
	}
}
