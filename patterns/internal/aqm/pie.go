// Package aqm holds rules that keep queues short (active queue management), for queues
// that a host keeps.
package aqm

import (
	"math"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// PIE is the control law of RFC 8033: it refuses a share of those who come, and moves the
// share so that waiting comes to rest at Target. Tell it with Update how long waiting is,
// about once in a Period, and ask it with Refuse for each newcomer.
//
// Its randomness is taken away: refusals come as evenly as they can, one in 1/share
// newcomers, which the RFC allows (section 5.4). The zero share is where it begins.
type PIE struct {
	Target, Period time.Duration
	// Burst is how long waiting may be long before anybody is refused.
	Burst time.Duration

	share  float64
	before time.Duration // waiting, at the last Update
	at     patterns.Instant
	begun  bool
	spent  time.Duration // of Burst
	credit float64       // of refusals: one is due when it reaches 1
}

const (
	// The gains of the RFC are per Period and second of waiting.
	pieProportional = 0.125
	pieDifferential = 1.25
	// pieFade is what the share falls to in a Period without waiting.
	pieFade = 0.98
	// pieStep is the most that a share of a tenth or more grows by in a Period.
	pieStep = 0.02
	// pieFew is how many may wait without anybody being refused.
	pieFew = 2
	// pieLate bounds how many Periods one Update makes up for.
	pieLate = 64
)

// Update moves the share, now that waiting takes delay. Within a Period of the last Update
// it does nothing.
func (p *PIE) Update(now patterns.Instant, delay time.Duration) {
	periods := 1.0
	if p.begun {
		since := now.Sub(p.at)
		if since < p.Period {
			return
		}
		periods = min(float64(since)/float64(p.Period), pieLate)
	}
	p.begun, p.at = true, now
	delay = max(delay, 0)
	move := pieProportional*(delay-p.Target).Seconds() + pieDifferential*(delay-p.before).Seconds()
	move = p.scaled(move) * periods
	if p.share >= 0.1 {
		move = min(move, pieStep*periods)
	}
	share := p.share + move
	if delay == 0 && p.before == 0 {
		share *= math.Pow(pieFade, periods)
	}
	p.share = min(max(share, 0), 1)
	if p.share == 0 && delay < p.Target/2 && p.before < p.Target/2 {
		p.spent = 0
	} else {
		p.spent = min(p.Burst, p.spent+time.Duration(periods*float64(p.Period)))
	}
	p.before = delay
}

// scaled makes the gain small while the share is: what is right for a tenth would make a
// thousandth swing.
func (p *PIE) scaled(move float64) float64 {
	for _, s := range [...]struct{ below, by float64 }{
		{1e-6, 2048}, {1e-5, 512}, {1e-4, 128}, {1e-3, 32}, {1e-2, 8}, {0.1, 2},
	} {
		if p.share < s.below {
			return move / s.by
		}
	}
	return move
}

// Share is the share of newcomers to refuse.
func (p *PIE) Share() float64 { return p.share }

// Refuse reports whether to refuse a newcomer where so many wait.
func (p *PIE) Refuse(waiting int) bool {
	if p.share == 0 || p.spent < p.Burst || p.share < 0.2 && p.before < p.Target/2 || waiting <= pieFew {
		return false
	}
	if p.credit += p.share; p.credit < 1 {
		return false
	}
	p.credit--
	return true
}
