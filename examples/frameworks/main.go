// Frameworks puts a breaker in front of a handler that fails, in chi, gin, echo and fiber. You
// will see that two failures are the framework's own, that clients of all four are then told
// the same by the guard, and that the health check is let through.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/gofiber/fiber/v3"
	"github.com/labstack/echo/v5"
	"go.uber.org/zap"

	"github.com/bulwark-go/bulwark/actors"
	echoguard "github.com/bulwark-go/bulwark/integrations/echo"
	fiberguard "github.com/bulwark-go/bulwark/integrations/fiber"
	ginguard "github.com/bulwark-go/bulwark/integrations/gin"
	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/integrations/zaplog"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

func main() {
	log := zap.Must(zap.NewDevelopment(zap.IncreaseLevel(zap.ErrorLevel))) // an opening is an event
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := run(ctx, log); err != nil {
		log.Fatal("frameworks failed", zap.Error(err))
	}
}

// server is a framework's: serve returns once it was closed.
type server struct {
	serve func(net.Listener) error
	close func() error
}

func run(ctx context.Context, log *zap.Logger) error {
	system := actor.NewActorSystem(zaplog.ForActorSystem(log))
	guards, err := actors.NewRegistry(system)
	if err != nil {
		return err
	}
	fmt.Println("The bank is down. After two failures nobody asks it for a minute, in whatever framework.")
	for _, f := range []struct {
		name string
		make func(bank patterns.Guard) server
	}{{"chi", ofChi}, {"gin", ofGin}, {"echo", ofEcho}, {"fiber", ofFiber}} {
		bank, err := circuitbreaker.Spawn(guards, "bank of "+f.name, circuitbreaker.Config{ConsecutiveFailures: 2, OpenFor: time.Minute})
		if err != nil {
			return err
		}
		fmt.Println("\n" + f.name)
		if err := visit(ctx, f.make(bank), bank); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return guards.Shutdown(ctx)
}

// The bank is down, and the handlers say so.
const (
	down  = "the bank is down"
	alive = "fine"
)

func ofChi(bank patterns.Guard) server {
	r := chi.NewRouter()
	r.Use(nethttp.Guard(bank))
	r.Get("/pay", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, down, http.StatusBadGateway) })
	r.Get("/health", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, alive) })
	return plain(r)
}

func ofGin(bank patterns.Guard) server {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.Use(ginguard.Guard(bank))
	r.GET("/pay", func(c *gin.Context) { c.String(http.StatusBadGateway, down) })
	r.GET("/health", func(c *gin.Context) { c.String(http.StatusOK, alive) })
	return plain(r)
}

func ofEcho(bank patterns.Guard) server {
	e := echo.New()
	e.Use(echoguard.Guard(bank))
	e.GET("/pay", func(*echo.Context) error { return echo.NewHTTPError(http.StatusBadGateway, down) })
	e.GET("/health", func(c *echo.Context) error { return c.String(http.StatusOK, alive) })
	return plain(e)
}

func ofFiber(bank patterns.Guard) server {
	app := fiber.New()
	app.Use(fiberguard.Guard(bank))
	app.Get("/pay", func(fiber.Ctx) error { return fiber.NewError(http.StatusBadGateway, down) })
	app.Get("/health", func(c fiber.Ctx) error { return c.SendString(alive) })
	return server{
		func(l net.Listener) error { return app.Listener(l, fiber.ListenConfig{DisableStartupMessage: true}) },
		app.Shutdown,
	}
}

// plain is for what is a http.Handler.
func plain(h http.Handler) server {
	s := &http.Server{Handler: h, ReadHeaderTimeout: time.Second}
	return server{
		func(l net.Listener) error {
			if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		},
		s.Close,
	}
}

// visit asks a server for a few things.
func visit(ctx context.Context, s server, bank *circuitbreaker.Breaker) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- s.serve(listener) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, path := range []string{"/pay", "/pay", "/pay", "/health"} {
		if err := show(ctx, client, "http://"+listener.Addr().String(), path); err != nil {
			return err
		}
		if err := counted(ctx, bank); err != nil {
			return err
		}
	}
	return errors.Join(s.close(), <-served)
}

// counted waits until the breaker has heard of every answer. A permit ends when the answer has
// been sent, which its client may see first.
func counted(ctx context.Context, bank *circuitbreaker.Breaker) error {
	for {
		if s, ok := bank.Snapshot(ctx); !ok || s.InFlight == 0 {
			return ctx.Err()
		}
		time.Sleep(time.Millisecond)
	}
}

func show(ctx context.Context, client *http.Client, url, path string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+path, nil)
	if err != nil {
		return err
	}
	w, err := client.Do(r)
	if err != nil {
		return err
	}
	line := fmt.Sprintf("  %-8s %s, %s", path, w.Status, w.Header.Get("Content-Type"))
	if seconds := w.Header.Get("Retry-After"); seconds != "" {
		line += "; come again in " + seconds + " s"
	}
	fmt.Println(line)
	return w.Body.Close()
}
