// Package rules decides what becomes of the children of a supervising actor. It is
// pure: no clock, lock, goroutine, randomness or actor; package supervisor is the
// shell around it, and tells it what happens.
//
// Read machine.go first.
//
// # States of a child
//
//	          ┌────────────── restarted ───────────────┐
//	          ▼                                        │
//	      ┌─────────┐  backoff, budget          ┌────────────┐
//	───▶  │ Running │ ────────────────────────▶ │ Restarting │
//	      └─────────┘                           └────────────┘
//	       ▲  │  ▲ │ sibling   ┌───────────┐
//	       │  │  │ └─────────▶ │ Suspended │ (restarted with the sibling)
//	       │  │  └──────────── └───────────┘
//	       │  │ too-often, correlated    ┌──────┐  probe   ┌──────────┐
//	       │  ├────────────────────────▶ │ Open │ ───────▶ │ HalfOpen │
//	       │  │                          └──────┘ ◀─────── └──────────┘
//	       │  │ too-often         ┌─────────────┐ probe-failed   │
//	       │  └─────────────────▶ │ Quarantined │                │
//	       │                      └─────────────┘                │
//	       └── released ─────────────┘    probe-passed, quiet ───┘
//
// Everything ends in Stopping and Stopped.
//
// # Who goes down with whom
//
// A failing child takes others along as its Scope says. Each of those is suspended
// while the child waits, and restarted with it. Where several wait, nobody is restarted
// who would be taken along by one that still waits.
package rules
