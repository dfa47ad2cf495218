package main

import (
	"context"
	"net"

	"github.com/failsafe-go/failsafe-go"
	fsbreaker "github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/failsafegrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	echo "google.golang.org/grpc/interop/grpc_testing"

	grpcguard "github.com/bulwark-go/bulwark/integrations/grpc"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

// calls are ways to put a breaker around gRPC calls.
func calls() family {
	const name = "grpc/unary"
	budgets := []budget{{
		what: "more allocations than bare, over a socket", of: point{name, "bulwark", 1}, to: point{name, "bare", 1},
		metric: allocsPerOp, compare: difference, is: atMost, limit: 4,
	}}
	return family{
		cases: []benchCase{{
			name: name, baseline: "bare", how: tight{}, goroutines: calledAt,
			subjects: []subject{
				{"bare", remote(false, false)},
				{"bulwark-server", remote(true, false)},
				{"bulwark-client", remote(false, true)},
				{"bulwark", remote(true, true)},
				{"failsafe", failsafeRemote},
			},
			about: "A unary call over the loopback interface, all on one connection, with a breaker at the server, at the client, or at both.",
		}},
		budgets: budgets,
	}
}

// remote has our interceptors at either side.
func remote(server, client bool) func(settings) (*instance, error) {
	return func(settings) (*instance, error) {
		registry, stop, err := openRegistry()
		if err != nil {
			return nil, err
		}
		spawn := func(name string) (patterns.Guard, error) {
			return circuitbreaker.Spawn(registry, name, breakerConfig(patterns.Strict))
		}
		var serving []grpc.ServerOption
		var dialling []grpc.DialOption
		if server {
			g, err := spawn("server")
			if err != nil {
				stop()
				return nil, err
			}
			serving = append(serving, grpcguard.UnaryServer(g))
		}
		if client {
			g, err := spawn("client")
			if err != nil {
				stop()
				return nil, err
			}
			dialling = append(dialling, grpcguard.UnaryClient(g))
		}
		return startRemote(serving, dialling, stop)
	}
}

func failsafeRemote(settings) (*instance, error) {
	breaker := func() failsafe.Policy[any] {
		return fsbreaker.NewBuilder[any]().WithFailureThreshold(openAfter).WithDelay(openFor).WithSuccessThreshold(probes).Build()
	}
	return startRemote(
		[]grpc.ServerOption{grpc.UnaryInterceptor(failsafegrpc.NewUnaryServerInterceptor(breaker()))},
		[]grpc.DialOption{grpc.WithUnaryInterceptor(failsafegrpc.NewUnaryClientInterceptor(breaker()))},
		func() {})
}

// teller is the server. It says what it was sent.
type teller struct {
	echo.UnimplementedTestServiceServer
}

func (teller) UnaryCall(_ context.Context, r *echo.SimpleRequest) (*echo.SimpleResponse, error) {
	return &echo.SimpleResponse{Username: r.GetResponseStatus().GetMessage()}, nil
}

func startRemote(serving []grpc.ServerOption, dialling []grpc.DialOption, stop func()) (*instance, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		stop()
		return nil, err
	}
	server := grpc.NewServer(append(serving, grpc.WaitForHandlers(true))...)
	echo.RegisterTestServiceServer(server, teller{})
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	end := func() {
		server.Stop()
		if err := <-served; err != nil {
			panic(err)
		}
		stop()
	}
	conn, err := grpc.NewClient("passthrough:///"+listener.Addr().String(),
		append(dialling, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		end()
		return nil, err
	}
	client := echo.NewTestServiceClient(conn)
	request := &echo.SimpleRequest{ResponseStatus: &echo.EchoStatus{Message: string(okBody)}}
	ctx, cancel := context.WithCancel(context.Background())
	return &instance{
		op: func() bool {
			response, err := client.UnaryCall(ctx, request)
			return err == nil && response.GetUsername() == string(okBody)
		},
		stop: func() {
			cancel()
			_ = conn.Close()
			end()
		},
	}, nil
}
