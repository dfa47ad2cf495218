package grpcguard_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	grpcguard "github.com/bulwark-go/bulwark/integrations/grpc"
	"github.com/bulwark-go/bulwark/patterns"
)

func TestOptionsThatAreWrongAreNamedAllAtOnce(t *testing.T) {
	_, err := grpcguard.NewUnaryServer(nil,
		grpcguard.Exclude("health"), grpcguard.Idempotent("/a//b", "/..."), grpcguard.Key(nil), grpcguard.Weight(nil),
		grpcguard.Outcomes(map[codes.Code]patterns.Outcome{codes.OK: patterns.Failure, 99: patterns.Success, codes.NotFound: 77}),
		grpcguard.TrustProxies(grpcguard.Proxies{Trusted: []string{"everybody"}}),
		grpcguard.Priority(grpcguard.Priorities{Header: "grpc-priority", Most: 99}), grpcguard.NeedTime(-time.Second), grpcguard.Domain(""), nil,
	)
	if !errors.Is(err, patterns.ErrNilGuard) {
		t.Errorf("error %v", err)
	}
	for _, want := range []string{
		`Exclude "health"`, `Idempotent "/a//b"`, "Key nil", "Weight nil", "OK: is always", "Outcomes 99", "Outcomes outcome(77)",
		`Proxies.Trusted "everybody"`, `Priorities.Header "grpc-priority"`, "Priorities.Most", "NeedTime -1s", "Domain",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in\n%v", want, err)
		}
	}
}

func TestWhatIsWrittenInTheProgramPanicsIfItIsWrong(t *testing.T) {
	for name, f := range map[string]func(){
		"unary server":  func() { grpcguard.UnaryServer(nil) },
		"stream server": func() { grpcguard.StreamServer(nil) },
		"unary client":  func() { grpcguard.UnaryClient(nil) },
		"stream client": func() { grpcguard.StreamClient(nil) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if err, ok := recover().(error); !ok || !errors.Is(err, patterns.ErrNilGuard) {
					t.Errorf("panicked with %v", err)
				}
			}()
			f()
		})
	}
	if _, err := grpcguard.NewTap(ask(), grpcguard.Recover(nil)); err == nil {
		t.Error("a tap that recovers")
	}
	if _, err := grpcguard.NewTap(nil); !errors.Is(err, patterns.ErrNilGuard) {
		t.Errorf("a tap: %v", err)
	}
}
