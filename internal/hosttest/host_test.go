package hosttest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// role, if set, makes this binary one of the processes of the remote test.
const role = "BULWARK_HOSTTEST_ROLE"

// patience only ends a test that hangs.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "":
		os.Exit(m.Run())
	case "server":
		serve()
	case "teller":
		teller()
	case "customer":
		customer(os.Getenv("BULWARK_HOSTTEST_SERVER"))
	case "client":
		ask(os.Getenv("BULWARK_HOSTTEST_SERVER"))
	}
	os.Exit(0)
}

func TestAnActorAnswersARequestInItsOwnSystem(t *testing.T) {
	system := newSystem()
	defer system.Shutdown()
	pid := system.Root.Spawn(greeter())
	answer, err := system.Root.RequestFuture(pid, wrapperspb.String("here"), patience).Result()
	if err != nil {
		t.Fatal(err)
	}
	if got := answer.(*wrapperspb.StringValue).GetValue(); got != "hello, here" {
		t.Errorf("answered %q", got)
	}
}

// Each system has a process of its own: two remotes in one always race on gRPC's
// global logger. GORACE keeps what the race detector finds in proto.actor's remote
// (its block list) from failing a test of ours.
func TestAnActorAnswersARequestFromAnotherProcess(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()

	server, serverErr := process(ctx, "server")
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

	client, clientErr := process(ctx, "client", "BULWARK_HOSTTEST_SERVER="+strings.TrimSpace(address))
	answer, err := client.Output()
	if err != nil {
		t.Fatalf("client: %v\n%s\nserver:\n%s", err, clientErr, serverErr)
	}
	if got := string(answer); got != "hello, over there\n" {
		t.Errorf("answered %q", got)
	}
}

func process(ctx context.Context, as string, env ...string) (*exec.Cmd, *bytes.Buffer) {
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(append(os.Environ(), role+"="+as, "GORACE=exitcode=0 atexit_sleep_ms=0"), env...)
	stderr := new(bytes.Buffer)
	cmd.Stderr = stderr
	return cmd, stderr
}

// serve answers until its standard input closes.
func serve() {
	system := newSystem()
	remote.NewRemote(system, remote.Configure("127.0.0.1", 0)).Start()
	if _, err := system.Root.SpawnNamed(greeter(), "greeter"); err != nil {
		panic(err)
	}
	fmt.Println(system.Address())
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func ask(address string) {
	system := newSystem()
	remote.NewRemote(system, remote.Configure("127.0.0.1", 0)).Start()
	pid := actor.NewPID(address, "greeter")
	answer, err := system.Root.RequestFuture(pid, wrapperspb.String("over there"), patience).Result()
	if err != nil {
		panic(err)
	}
	fmt.Println(answer.(*wrapperspb.StringValue).GetValue())
}

func greeter() *actor.Props {
	return actor.PropsFromFunc(func(c actor.Context) {
		if name, ok := c.Message().(*wrapperspb.StringValue); ok {
			c.Respond(wrapperspb.String("hello, " + name.GetValue()))
		}
	})
}

func newSystem() *actor.ActorSystem {
	return actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slog.DiscardHandler)
	}))
}
