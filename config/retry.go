package config

import (
	"strconv"
	"strings"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/hedge"
	"github.com/bulwark-go/bulwark/patterns/retry"
)

// retrying is a section of a retry, in which a budget is a name.
type retrying struct {
	retry.Config
	// Budget is the name of a retrybudget of this file, which all who name it share. Default none.
	Budget string
}

func (r retrying) fold() (retry.Config, error) { return r.Config, nil }

func retries() kind {
	k := folded("retry", retry.Spawn, retrying.fold)
	k.refers = func(wire any) string { return wire.(retrying).Budget }
	k.bind = func(config any, budget patterns.Guard) any {
		c := config.(retry.Config)
		c.Budget = budget.(*retry.Budget)
		return c
	}
	return k
}

// hedging is a section of a hedge, in which a budget is a name.
type hedging struct {
	hedge.Config
	// Budget is the name of a retrybudget of this file, which all who name it share. Default none.
	Budget string
}

func (h hedging) fold() (hedge.Config, error) { return h.Config, nil }

func hedges() kind {
	k := folded("hedge", hedge.Spawn, hedging.fold)
	k.refers = func(wire any) string { return wire.(hedging).Budget }
	k.bind = func(config any, budget patterns.Guard) any {
		c := config.(hedge.Config)
		c.Budget = budget.(*retry.Budget)
		return c
	}
	return k
}

func budgets() kind {
	k := plain("retrybudget", retry.SpawnBudget)
	k.shared = true
	return k
}

// growth is a retry.Backoff as a file has it: backoff: { exponential: { base: 100ms, max: 10s } }
type growth interface{ backoff() retry.Backoff }

type constant struct {
	// Wait is how long to wait each time.
	Wait time.Duration
	// Jitter is by how much chance waits differ: exact, full, equal, or a share such as 0.25
	// by which they are shorter or longer. Default exact.
	Jitter jitter
}

type linear struct {
	// Base is the first wait, and what is added to each further one.
	Base time.Duration
	// Max is the longest wait.
	Max time.Duration
	// Jitter is by how much chance waits differ: exact, full, equal, or a share such as 0.25
	// by which they are shorter or longer. Default exact.
	Jitter jitter
}

type exponential struct {
	// Base is the first wait.
	Base time.Duration
	// Max is the longest wait.
	Max time.Duration
	// Factor is what the wait is multiplied by after each attempt, 1 or more. Default 2.
	Factor float64
	// Jitter is by how much chance waits differ: exact, full, equal, or a share such as 0.25
	// by which they are shorter or longer. Default full.
	Jitter jitter
}

type decorrelated struct {
	// Base is the shortest wait.
	Base time.Duration
	// Max is the longest wait.
	Max time.Duration
}

type smooth struct {
	// Base is about the first wait.
	Base time.Duration
	// Max is the longest wait.
	Max time.Duration
}

func (g constant) backoff() retry.Backoff { return g.Jitter.on(retry.Constant(g.Wait)) }

func (g linear) backoff() retry.Backoff { return g.Jitter.on(retry.Linear(g.Base, g.Max)) }

func (g exponential) backoff() retry.Backoff {
	b := retry.Exponential(g.Base, g.Max)
	if g.Factor != 0 {
		b = b.By(g.Factor)
	}
	return g.Jitter.on(b)
}

func (g decorrelated) backoff() retry.Backoff { return retry.Decorrelated(g.Base, g.Max) }

func (g smooth) backoff() retry.Backoff { return retry.Smooth(g.Base, g.Max) }

// jitter is the name of one, or a share. The zero jitter leaves a Backoff as it is.
type jitter string

// UnmarshalText reads a jitter.
func (j *jitter) UnmarshalText(text []byte) error {
	name := strings.TrimSpace(string(text))
	switch name {
	case "exact", "full", "equal":
	default:
		if share, err := strconv.ParseFloat(name, 64); err != nil || !(share > 0 && share <= 1) {
			return &patterns.TextError{Text: string(text), Want: "exact, full, equal, or a share above 0, up to 1"}
		}
	}
	*j = jitter(name)
	return nil
}

func (j jitter) on(b retry.Backoff) retry.Backoff {
	switch j {
	case "":
		return b
	case "exact":
		return b.Exact()
	case "full":
		return b.FullJitter()
	case "equal":
		return b.EqualJitter()
	}
	share, _ := strconv.ParseFloat(string(j), 64) // as UnmarshalText did
	return b.Around(share)
}
