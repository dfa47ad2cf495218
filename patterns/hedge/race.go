package hedge

import (
	"context"
	"errors"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/lazycontext"
)

// race is one call. All of it but attempts is for the caller's goroutine alone. It is used
// again if no attempt outlives its call.
type race struct {
	*Hedge
	ctx  context.Context // the caller's
	call patterns.Call
	plan *plan

	work  *lazycontext.Context // of all attempts
	began time.Time            // if the delay follows calls
	timer *time.Timer          // until the next attempt
	ends  chan *attempt        // with room for all

	first   attempt
	all     []*attempt // that were begun, the first one too
	asked   int        // for how many there was occasion besides
	running int        // of all: those whose end is not known
	extra   bool       // one besides the first was made

	failures []error
	failed   *attempt // the latest of them
	refused  *attempt // the first of those
	winner   *attempt // whose end is the call's
}

func newRace() any {
	r := &race{timer: time.NewTimer(maxDelay), ends: make(chan *attempt, 1+maxExtra)}
	r.timer.Stop()
	r.first.race, r.first.start = r, r.first.run
	r.all = append(make([]*attempt, 0, 2), &r.first)
	return r
}

// Around implements patterns.Policy.
func (h *Hedge) Around(ctx context.Context, call patterns.Call) error {
	if err := ctx.Err(); err != nil {
		h.unmade(hungUp)
		return err
	}
	if err := h.Absent(); err != nil {
		h.unmade(refused)
		return err
	}
	r := h.races.Get().(*race)
	r.Hedge, r.ctx, r.call, r.plan = h, ctx, call, h.Plan().(*plan)
	if r.plan.Budget != nil {
		r.plan.Budget.Count()
	}
	return r.run()
}

// unmade counts a call without a first attempt.
func (h *Hedge) unmade(how int) {
	h.tallies.Add(how)
	h.tallies.Add(unmade)
}

// run makes the call.
func (r *race) run() error {
	r.work = new(lazycontext.Context)
	r.work.Under(r.ctx)
	if r.plan.follows() {
		r.began = time.Now()
	}
	r.first.begin(running, r.call.Fork())
	r.running = 1
	r.timer.Reset(r.plan.delay)
	go r.first.start()
	gone := r.ctx.Done()
	for {
		select {
		case a := <-r.ends:
			if r.heard(a) {
				return r.over(r.verdict())
			}
		case <-r.timer.C:
			r.next()
		case <-gone:
			return r.hungUp()
		}
	}
}

// heard takes note of how an attempt ended, and reports whether that ends the call.
func (r *race) heard(a *attempt) bool {
	r.running--
	r.extra = r.extra || a.beside()
	switch {
	case a.suppressed:
		return r.running == 0
	case a.Unwound():
		r.winner = a
		return true
	}
	outcome := patterns.JudgeCall(r.ctx, r.terms.Judge, a.Fork, a.Err)
	if a.Err != nil {
		switch {
		case r.ctx.Err() != nil: // nobody wants another
			r.winner = a
			return true
		case errors.Is(a.Err, patterns.ErrRejected) && (outcome == patterns.Ignored || !a.Fork.Began()):
			if r.refused == nil {
				r.refused = a
			}
			return r.running == 0
		}
	}
	if outcome == patterns.Success || outcome == patterns.Ignored {
		r.winner = a
		return true
	}
	r.failed = a
	err := a.Err
	if err == nil {
		err = ErrBadResult
	}
	r.failures = append(r.failures, err)
	if r.plan.ReplaceFailed && !errors.Is(a.Err, patterns.ErrFinal) {
		r.next()
	}
	return r.running == 0
}

// next makes another attempt, if there may be one.
func (r *race) next() {
	if r.asked == r.plan.MaxExtra || r.ctx.Err() != nil {
		return
	}
	if r.asked++; r.asked < r.plan.MaxExtra {
		r.timer.Reset(r.plan.delay)
	}
	if r.crowded(r.plan.MaxLosers) {
		return
	}
	a := &attempt{race: r, number: len(r.all)}
	if r.plan.Budget != nil {
		a.begin(asking, r.call.Fork())
	} else {
		r.tallies.Add(extras)
		a.begin(running, r.call.Fork())
	}
	r.all = append(r.all, a)
	r.running++
	go a.runBeside()
}

// verdict returns how the call ended, and what the caller gets, once that is known.
func (r *race) verdict() (how int, err error) {
	switch {
	case r.winner != nil:
		return r.victory()
	case len(r.failures) > 1:
		made := len(r.all)
		for _, a := range r.all {
			if a.suppressed {
				made--
			}
		}
		how, err = failed, &Error{Name: r.Name(), Attempts: made, Failures: r.failures}
		r.winner = r.failed
	case r.failed != nil:
		how, err, r.winner = failed, r.failed.Err, r.failed
	default:
		how, err, r.winner = refused, r.refused.Err, r.refused
	}
	return how, err
}

func (r *race) victory() (how int, err error) {
	err = r.winner.Err
	switch {
	case r.winner.Unwound():
		return panicked, nil
	case err != nil && r.ctx.Err() != nil:
		return hungUp, err
	case r.winner != &r.first:
		return extraWon, err
	case err == nil && r.plan.follows():
		r.sample(r.began)
	}
	return firstWon, err
}

// hungUp ends the call because its caller's context has, unless it has an answer.
func (r *race) hungUp() error {
	for {
		select {
		case a := <-r.ends:
			if r.heard(a) {
				return r.over(r.verdict())
			}
		default:
			return r.over(hungUp, r.ctx.Err())
		}
	}
}

// over ends the call. It unwinds if the winner did.
func (r *race) over(how int, err error) error {
	r.timer.Stop()
	again := r.abandon(how)
	r.tallies.Add(how)
	w := r.winner
	if w != nil {
		r.call.Adopt(w.Fork)
		if w.Unwound() {
			w.Unwind()
		}
	}
	if again {
		r.reset()
	}
	return err
}

// abandon cancels what still runs, and reports whether nothing does.
func (r *race) abandon(how int) (none bool) {
	none = true
	outrun := time.Duration(0)
	if r.running > 0 {
		for _, a := range r.all {
			switch a.fate.Swap(left) {
			case running:
				r.tallies.Add(lost)
				none, r.extra = false, r.extra || a != &r.first
				if a == &r.first && r.plan.follows() {
					outrun = time.Since(r.began)
				}
			case asking:
				none = false
			default:
				continue
			}
			r.running--
		}
	}
	if none {
		r.work.End()
	} else {
		r.work.EndFor(patterns.ErrOutrun)
	}
	for ; r.running > 0; r.running-- { // have ended meanwhile
		a := <-r.ends
		r.extra = r.extra || a.beside()
		a.forgotten()
	}
	if outrun < r.plan.delay { // which says nothing
		outrun = 0
	}
	if r.extra || outrun > 0 {
		_ = r.Tell(hedged{extra: r.extra, won: how == extraWon, outrun: outrun}) // what is lost is lost
	}
	return none
}

// reset makes it ready for another call. Nobody else knows it any more.
func (r *race) reset() {
	pool, start := r.races, r.first.start
	clear(r.all[1:])
	*r = race{timer: r.timer, ends: r.ends, all: r.all[:1]}
	r.first.race, r.first.start = r, start
	pool.Put(r)
}
