package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/fallback"
	"github.com/bulwark-go/bulwark/patterns/hedge"
	"github.com/bulwark-go/bulwark/patterns/outlier"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
	"github.com/bulwark-go/bulwark/patterns/retry"
)

// ejectFor is how long a server of the bank that fails gets no requests.
const ejectFor = 300 * time.Millisecond

// rooms is how many requests may be under way.
const rooms = 10

// shop is the bank's client.
type shop struct {
	hosts   *outlier.Ejector
	pool    *nethttp.Pool
	breaker *circuitbreaker.Breaker
	rooms   *bulkhead.Bulkhead

	bank, hedged, rates *http.Client
}

func newShop(guards *actors.Registry, b *bank) (s *shop, err error) {
	s = new(shop)
	s.hosts, err = outlier.Spawn(guards, "bank-hosts", outlier.Config{
		Members: outlier.List(b.urls()...), Consecutive: 3, EjectFor: ejectFor,
	})
	if err != nil {
		return nil, err
	}
	s.pool, err = nethttp.NewPool(nethttp.PoolConfig{Name: "bank.internal", Hosts: s.hosts, Base: &http.Transport{}})
	if err != nil {
		return nil, err
	}
	var errs [5]error
	var again *retry.Retry
	var beside *hedge.Hedge
	var instead *fallback.Fallback[*http.Response]
	again, errs[0] = retry.Spawn(guards, "again", retry.Config{Attempts: 3, Backoff: retry.Constant(time.Millisecond)})
	s.breaker, errs[1] = circuitbreaker.Spawn(guards, "bank", circuitbreaker.Config{ConsecutiveFailures: 8})
	s.rooms, errs[2] = bulkhead.Spawn(guards, "bank-rooms", bulkhead.Config{MaxConcurrent: rooms, MaxWaiting: 1})
	beside, errs[3] = hedge.Spawn(guards, "beside", hedge.Config{Delay: 20 * time.Millisecond})
	instead, errs[4] = fallback.Spawn(guards, "yesterday", fallback.Config[*http.Response]{
		Steps: fallback.Chain(nethttp.Canned(http.StatusNonAuthoritativeInfo, nil, []byte("1 EUR = 1.1 USD, as of yesterday"))),
	})
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	s.bank, errs[0] = s.client("calls", again, s.rooms, s.breaker)
	s.hedged, errs[1] = s.client("searches", beside, s.rooms, s.breaker)
	s.rates, errs[2] = s.client("rates", instead, s.rooms, s.breaker)
	return s, errors.Join(errs[:]...)
}

func (s *shop) client(name string, parts ...patterns.Guard) (*http.Client, error) {
	p, err := pipeline.New(name, parts...)
	if err != nil {
		return nil, err
	}
	t, err := nethttp.NewTransport(s.pool, p)
	return &http.Client{Transport: t, Timeout: 10 * time.Second}, err
}

func (s *shop) get(ctx context.Context, path string) string {
	client := s.bank
	if path == "/rates" {
		client = s.rates
	}
	return say(send(ctx, client, http.MethodGet, path, ""))
}

func (s *shop) pay(ctx context.Context, key string) string {
	return say(send(ctx, s.bank, http.MethodPost, "/pay", key))
}

func (s *shop) search(ctx context.Context) (string, error) {
	return send(ctx, s.hedged, http.MethodGet, "/search", "")
}

// send makes a request and returns the status and text of the answer.
func send(ctx context.Context, client *http.Client, method, path, key string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://bank.internal"+path, strings.NewReader(""))
	if err != nil {
		return "", err
	}
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	response, err := client.Do(r)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(response.Body)
	return fmt.Sprintf("%d %s", response.StatusCode, strings.TrimSpace(string(body))), errors.Join(err, response.Body.Close())
}

// say is an answer, or what became of it.
func say(text string, err error) string {
	switch {
	case errors.Is(err, circuitbreaker.ErrOpen):
		return "refused, nobody was asked"
	case err != nil:
		return "no answer"
	}
	return text
}

// books checks that nothing is missing.
func (s *shop) books(ctx context.Context) error {
	s.bank.CloseIdleConnections()
	all, err := s.rooms.AcquireFor(ctx, patterns.Request{Weight: rooms}) // once attempts that lost have ended
	if err != nil {
		return err
	}
	all.Report(patterns.Ignored)
	b, known := s.breaker.Snapshot(ctx)
	r, knownToo := s.rooms.Snapshot(ctx)
	if !known || !knownToo {
		return errors.New("a guard has gone")
	}
	balanced := b.Counts.Balanced() && b.Counts.InFlight == 0 && r.Counts.Balanced() && r.Counts.InFlight == 0
	fmt.Println("\nAll books balance, and no permit is out:", balanced)
	return nil
}
