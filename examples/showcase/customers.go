package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

const (
	population = 20                 // customers
	usual      = 150                // orders a second of all of them, however slow the answers are
	rushed     = 3 * capacity       // in the rush
	glutton    = "customer-glutton" // who orders so much more
	gluttony   = 4 * usual

	// mostOut is how many orders are out at a time at most, several times as many as when all is
	// well: customers live in this process, and are not to be what it is busy with.
	mostOut = 600
)

// ending is how an order ended for its customer.
type ending int

const (
	served ending = iota
	failed        // the backend was called, in vain
	byEdge        // refused by the guard of that name, and the backend was not called
	byCustomers
	byBackend
	byBreaker

	endings
)

func (e ending) String() string {
	return [...]string{"served", "failed", "edge", "customers", "backend", "breaker"}[e]
}

// result is one order.
type result struct {
	at       time.Time
	took     time.Duration
	end      ending
	priority patterns.Priority
	glutton  bool
}

// order makes one and says how it ended.
func (s *shop) result(customer string, p patterns.Priority) result {
	r := result{at: time.Now(), priority: p, glutton: customer == glutton}
	r.end = s.front.order(context.Background(), customer, p)
	r.took = time.Since(r.at)
	return r
}

// crowd orders as the plan says until the end, or until ctx ends, and waits for the orders
// under way. It tells of each that has ended.
func crowd(ctx context.Context, s *shop, p plan, ended func(result)) {
	ctx, cancel := context.WithDeadline(ctx, p.end())
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	var orders sync.WaitGroup
	places := make(chan struct{}, mostOut)
	order := func(customer string, p patterns.Priority) {
		select {
		case places <- struct{}{}:
			orders.Go(func() {
				defer func() { <-places }()
				ended(s.result(customer, p))
			})
		default:
		}
	}
	owed, glut := 0.0, 0.0
	for last := time.Now(); ctx.Err() == nil; {
		select {
		case <-ctx.Done():
			continue
		case <-tick.C:
		}
		now := time.Now()
		passed := min(now.Sub(last), 100*time.Millisecond).Seconds() // a pause is not made up for
		last = now
		pace := float64(usual)
		if p.at(now) == rush {
			pace = float64(rushed)
		}
		for owed += pace * passed; owed >= 1; owed-- {
			order(fmt.Sprintf("customer-%02d", rand.IntN(population)), draw())
		}
		if p.at(now) == greedy {
			glut += gluttony * passed
		}
		for ; glut >= 1; glut-- {
			order(glutton, patterns.Normal)
		}
	}
	orders.Wait()
	s.http.CloseIdleConnections()
}

// draw returns the priority of an order: 10 % are critical, 60 % normal, 30 % background.
func draw() patterns.Priority {
	switch n := rand.IntN(10); {
	case n == 0:
		return patterns.Critical
	case n < 7:
		return patterns.Normal
	}
	return patterns.Background
}
