package hedge

import (
	"sync/atomic"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/apart"
)

// attempt is one of a call, on a goroutine of its own.
type attempt struct {
	apart.Attempt
	race       *race
	number     int    // of the call's, from 0
	start      func() // run, for the first one, so that a call need not make it
	suppressed bool   // the budget did not allow it
	fate       atomic.Uint32
}

// The fates of an attempt. Its goroutine and its call's agree on one by atomic steps: either
// the call hears of its end, or it is left, never both.
const (
	asking  uint32 = iota // whether the budget allows it
	running               // the function
	ended                 // and was sent, or is about to be, to the call
	left                  // by its call, which has ended
)

func (a *attempt) begin(fate uint32, fork patterns.Call) {
	a.Attempt = apart.Attempt{Fork: fork}
	a.fate.Store(fate)
}

// beside reports whether it was made besides the first. It must have ended.
func (a *attempt) beside() bool { return a.number > 0 && !a.suppressed }

// run makes the attempt. Once it has told the call so, it touches nothing: the call may be
// another one.
func (a *attempt) run() {
	defer func() {
		if a.fate.CompareAndSwap(running, ended) {
			a.race.ends <- a
			return
		}
		a.race.tallies.Add(gone)
		a.forgotten()
	}()
	a.Make(a.race.work)
}

// runBeside is run for one besides the first, which the budget has to allow. It is asked
// here, because the call must not wait for that.
func (a *attempt) runBeside() {
	if budget := a.race.plan.Budget; budget != nil {
		if !budget.Allow(a.race.work) {
			a.suppress()
			return
		}
		a.race.tallies.Add(extras)
		if !a.fate.CompareAndSwap(asking, running) { // too late
			return
		}
	}
	a.run()
}

func (a *attempt) suppress() {
	a.suppressed = true
	if a.fate.CompareAndSwap(asking, ended) {
		if a.race.work.Err() == nil { // or nobody wants to know what it says
			a.race.tallies.Add(suppressed)
		}
		a.race.ends <- a
	}
}

// forgotten tells the actor of a panic that nobody else hears of.
func (a *attempt) forgotten() {
	if says := a.Panic(); says != "" {
		_ = a.race.Tell(crashed{says}) // what is lost is lost
	}
}
