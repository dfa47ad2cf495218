package main

import (
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/examples/internal/process"
)

const want = `The bank works, and then does not.
/pay     200  paid
/pay     502  the bank does not answer
/pay     502  the bank does not answer
/pay     502  the bank does not answer
/pay     503  Service Unavailable (unavailable); come again in 30s
/health  200  well

Its rates come from a cache meanwhile.
/rates   203  1 EUR = 1.1 USD, as of yesterday

A report takes too long.
/report  504  Gateway Timeout (timeout)

Three questions an hour for each customer.
/ask     200  42; RateLimit-Policy: "questions";q=3;w=3600; X-RateLimit-Remaining: 2
/ask     200  42; RateLimit-Policy: "questions";q=3;w=3600; X-RateLimit-Remaining: 1
/ask     200  42; RateLimit-Policy: "questions";q=3;w=3600; X-RateLimit-Remaining: 0
/ask     429  Too Many Requests (rate-limited); RateLimit-Policy: "questions";q=3;w=3600; X-RateLimit-Remaining: 0; come again in 20m0s
from 50 made-up addresses: 0 more

One stream at a time.
first event:   an order
/events  503  Service Unavailable (overloaded); come again in 1s
/events  200  data: an order

All books balance, and no permit is out: true
`

func TestWhatAClientSees(t *testing.T) {
	r := process.Run(t, time.Minute, process.Build(t))
	if r.Exit != 0 || r.Stdout != want {
		t.Errorf("exit status %d, output:\n%s\nwant:\n%s\nlog:\n%s", r.Exit, r.Stdout, want, r.Stderr)
	}
	t.Log("ran for", r.Took)
}
