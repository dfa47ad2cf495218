package main

import (
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/examples/internal/process"
)

const want = `configuration applied
spawned reports, payments; pipelines bank
a report begins
a report begins
bulkhead "reports" is full: 2 of 2 slots taken
the bank does not answer
the bank does not answer

A third place, while two are taken:
configuration applied
changed reports.max_concurrent: 2 → 3
a report begins
bulkhead "reports" is full: 3 of 3 slots taken

An edit with three mistakes:
configuration refused: all goes on as it was
bulwark.yaml:2:58: guards.reports.bulkhead.max_wait: "5" is not a time with its unit, such as 30s or 1m30s, or off
bulwark.yaml:3:58: guards.payments.circuitbreaker.opn_for: unknown key, is open_for meant? (allowed: call_timeout, concurrent_probes, consecutive_failures, failure_ratio, max_open_for, min_samples, mode, on_failure, open_factor, open_for, open_jitter, open_schedule, probe_failure_ratio, probe_timeout, probes, ramp_for, ramp_start, reset_opens_after, slow_call, slow_ratio, window)
bulwark.yaml:5:21: pipelines.bank[1]: rooms is no guard and no pipeline of this file (there are: payments, reports, bank)
bulkhead "reports" is full: 3 of 3 slots taken

A rate limit before the breaker, which has seen two failures of three:
configuration applied
spawned api; changed payments.open_for: 30s → 1m; pipelines bank
bank is api ▶ payments
the bank does not answer
refused: the breaker is open
`

func TestGoodEditsAreAppliedAndABadOneChangesNothing(t *testing.T) {
	r := process.Run(t, time.Minute, process.Build(t))
	if r.Exit != 0 || r.Stdout != want {
		t.Errorf("exit status %d, output:\n%s\nwant:\n%s\nlog:\n%s", r.Exit, r.Stdout, want, r.Stderr)
	}
	t.Log("ran for", r.Took)
}
