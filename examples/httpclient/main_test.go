package main

import (
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/examples/internal/process"
)

const want = `The bank has three servers.
6 requests, by server: [2 2 2]

One of them fails.
30 requests succeed; 3 reached it, then it is ejected: true
It works again, and has requests again after 300ms and more.

The bank is busy, and says to come again in 1 s.
200 7 EUR after 1 s and more: true

The bank fails, and an order must not be paid twice.
without a key: 500 out of order; attempts: 1
with one:      500 out of order; attempts: 3

One of them is stuck.
A search that meets it is answered by another, without waiting for it: true

All of them are down.
203 1 EUR = 1.1 USD, as of yesterday
203 1 EUR = 1.1 USD, as of yesterday
203 1 EUR = 1.1 USD, as of yesterday
and the breaker is open: refused, nobody was asked

All books balance, and no permit is out: true
`

func TestWhatAShopGetsOfABankThatMisbehaves(t *testing.T) {
	r := process.Run(t, time.Minute, process.Build(t))
	if r.Exit != 0 || r.Stdout != want {
		t.Errorf("exit status %d, output:\n%s\nwant:\n%s\nlog:\n%s", r.Exit, r.Stdout, want, r.Stderr)
	}
	t.Log("ran for", r.Took)
}
