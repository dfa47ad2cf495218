package hedge

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
	"github.com/bulwark-go/bulwark/patterns/retry"
)

// fortune is what is to happen to an attempt.
type fortune struct {
	end
	refused bool
}

// story is a call: what happens to each of its attempts, and when its caller leaves, if it does.
type story struct {
	Config
	spent    bool // its budget
	fortunes []fortune
	leaves   time.Duration
}

// outcome is how a call ended.
type outcome struct {
	value    int
	err      error
	several  bool // the error is an *Error
	unwinds  any
	took     time.Duration
	attempts int // that were begun
}

// foretell plays a story event by event, in one goroutine and no time. No two of its events
// are at the same moment.
func foretell(s *story) outcome {
	type runner struct {
		who  int
		ends time.Duration
	}
	var runs []runner
	var failures []int
	refused, asked, begun := -1, 0, 0
	begin := func(now time.Duration) {
		f := s.fortunes[begun]
		runs = append(runs, runner{begun, now + f.takes})
		if f.refused {
			runs[len(runs)-1].ends = now
		}
		begun++
	}
	timer := s.Delay
	next := func(now time.Duration) {
		if asked == s.MaxExtra {
			return
		}
		asked++
		timer = now + s.Delay
		if !s.spent {
			begin(now)
		}
	}
	begin(0)
	for {
		first := slices.MinFunc(runs, func(a, b runner) int { return int(a.ends - b.ends) })
		switch {
		case s.leaves > 0 && s.leaves < first.ends && (asked == s.MaxExtra || s.leaves < timer):
			return outcome{err: context.Canceled, took: s.leaves, attempts: begun}
		case asked < s.MaxExtra && timer < first.ends:
			next(timer)
			continue
		}
		runs = slices.DeleteFunc(runs, func(r runner) bool { return r == first })
		f, at := s.fortunes[first.who], outcome{value: first.who + 1, took: first.ends, attempts: begun}
		switch {
		case f.refused:
			if refused < 0 {
				refused = first.who
			}
		case f.unwinds != nil:
			at.value, at.unwinds = 0, f.unwinds
			return at
		case f.err == nil || errors.Is(f.err, errNone):
			at.err = f.err
			return at
		default:
			failures = append(failures, first.who)
			if s.ReplaceFailed {
				next(first.ends)
			}
		}
		if len(runs) > 0 {
			continue
		}
		at.attempts = begun
		if n := len(failures); n == 0 {
			at.value, at.err = 0, refusal
		} else {
			at.value, at.err, at.several = failures[n-1]+1, s.fortunes[failures[n-1]].err, n > 1
		}
		return at
	}
}

// stories are drawn so that no two events of one are at the same moment: attempts start at
// whole seconds, after others have ended, and each takes a share of a second of its own.
func stories(t *rapid.T) *story {
	s := &story{Config: Config{Delay: sec, MaxExtra: rapid.IntRange(1, 4).Draw(t, "extra"), ReplaceFailed: rapid.Bool().Draw(t, "replace")}}
	s.spent = rapid.IntRange(0, 4).Draw(t, "spent") == 0
	for i := range 1 + s.MaxExtra {
		f := fortune{refused: rapid.IntRange(0, 4).Draw(t, "refused") == 0}
		f.takes = time.Duration(rapid.IntRange(0, 4).Draw(t, "takes"))*sec + time.Microsecond<<i
		f.deaf = rapid.Bool().Draw(t, "deaf")
		f.err = rapid.SampledFrom([]error{nil, errDown, errDown, errBusy, errNone}).Draw(t, "err")
		f.unwinds = rapid.SampledFrom([]any{nil, nil, nil, nil, "boom", "exit"}).Draw(t, "unwinds")
		s.fortunes = append(s.fortunes, f)
	}
	if rapid.IntRange(0, 3).Draw(t, "leaves") == 0 {
		s.leaves = time.Duration(rapid.IntRange(0, 5).Draw(t, "when"))*sec + 500
	}
	return s
}

// tale is the function of a story, and a guard inside of the hedge that refuses as it says.
type tale struct {
	witness
	*story
	lock           sync.Mutex
	begun, started int
	all            sync.WaitGroup
}

func (a *tale) door() error {
	a.lock.Lock()
	defer a.lock.Unlock()
	a.begun++
	if a.begun <= len(a.fortunes) && a.fortunes[a.begun-1].refused {
		return refusal
	}
	return nil
}

//bulwark:bubble
func (a *tale) run(ctx context.Context) (int, error) {
	a.all.Add(1)
	defer a.all.Done()
	a.lock.Lock()
	a.started++
	who := a.begun // attempts begin one at a time
	a.lock.Unlock()
	f := a.fortunes[who-1]
	if f.deaf {
		time.Sleep(f.takes)
	} else if err := sleep(ctx, f.takes); err != nil {
		return 0, err
	}
	switch f.unwinds {
	case nil:
		return who, f.err
	case "exit":
		runtime.Goexit()
	}
	panic(f.unwinds)
}

// Whatever happens to attempts, callers and the actor, a call has one end, which is the
// twin's, at the same moment; no more attempts are made than may be; and no permit is lost or
// given twice.
func TestACallEndsAsItsTwinDoes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var all []*story
		for range rapid.IntRange(1, 6).Draw(rt, "calls") {
			all = append(all, stories(rt))
		}
		crash := rapid.SampledFrom([]any{nil, nil, actors.Consult{}, actors.Reconfigure{}}).Draw(rt, "crash")
		var problem error
		synctest.Test(t, func(t *testing.T) {
			guards := actorstest.NewRegistry(t)
			spent := budget(t, guards, nothing)
			h := spawn(t, guards, "h", Config{}, actors.WithJudge(patterns.IgnoreOn(errNone)))
			if crash != nil {
				actorstest.Crash(t, h, actorstest.At(crash))
				_ = h.Reconfigure(t.Context(), after(ms, 1))
			}
			for _, s := range all {
				c := s.Config
				if s.spent {
					c.Budget = spent
				}
				if err := h.Reconfigure(t.Context(), c); err != nil {
					t.Fatal(err)
				}
				if problem = s.play(t, h); problem != nil {
					return
				}
			}
		})
		if problem != nil {
			rt.Fatal(problem)
		}
	})
}

// play makes the call of a story, and returns what was not as it should be.
//
//bulwark:bubble
func (s *story) play(t *testing.T, h *Hedge) error {
	want, before := foretell(s), snapshot(t, h).Totals
	a, outside := &tale{story: s}, new(witness)
	a.f = a.door
	p, err := pipeline.New("", outside, h, a)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if s.leaves > 0 {
		defer time.AfterFunc(s.leaves, cancel).Stop()
	}
	got, began := outcome{}, time.Now()
	got.unwinds = unwinds(func() {
		defer func() { got.took = time.Since(began) }()
		got.value, got.err = patterns.Do(ctx, p, a.run)
	})
	a.lock.Lock()
	got.attempts = a.begun
	a.lock.Unlock()
	if several, ok := errors.AsType[*Error](got.err); ok {
		got.err, got.several = several.Failures[len(several.Failures)-1], true
	}
	if got != want {
		return fmt.Errorf("%+v, want %+v", got, want)
	}
	a.all.Wait()
	synctest.Wait()
	settled, after := 0, snapshot(t, h).Totals
	for _, n := range a.told {
		settled += n
	}
	if a.held != 0 || settled != a.started || outside.held != 0 || len(outside.told) != 1 || a.begun > 1+s.MaxExtra {
		return fmt.Errorf("%d attempts, %d started; inside %v, held %d; outside %v, held %d", a.begun, a.started, a.told, a.held, outside.told, outside.held)
	}
	if after.Losers != 0 || after.Calls != before.Calls+1 || after.Attempts-before.Attempts != uint64(a.begun) || s.spent && after.Extra != before.Extra {
		return fmt.Errorf("%+v, then %+v", before, after)
	}
	return nil
}

// The same without order: what many callers do at once adds up.
func TestManyCallsAtOnceAddUp(t *testing.T) {
	guards := actorstest.NewRegistry(t)
	b := budget(t, guards, retry.BudgetConfig{Ratio: 0.5, MinPerSecond: retry.None})
	h := spawn(t, guards, "h", Config{Delay: 50 * time.Microsecond, MaxExtra: 3, Budget: b, ReplaceFailed: true})
	inside := new(witness)
	p, err := pipeline.New("", h, inside)
	if err != nil {
		t.Fatal(err)
	}
	const callers, each = 8, 100
	var all, functions sync.WaitGroup
	var lock sync.Mutex
	started := 0
	for c := range callers {
		all.Go(func() {
			for i := range each {
				ctx, cancel := context.WithCancel(t.Context())
				if i%7 == 0 {
					time.AfterFunc(60*time.Microsecond, cancel)
				}
				tries := 0
				unwinds(func() {
					_, _ = patterns.Do(ctx, p, func(ctx context.Context) (int, error) {
						functions.Add(1)
						defer functions.Done()
						lock.Lock()
						started++
						tries++
						n := tries
						lock.Unlock()
						switch (c + i + n) % 5 {
						case 0:
							return 0, errDown
						case 1:
							return 0, sleep(ctx, 5*ms)
						case 2:
							if i%3 == 0 {
								panic("boom")
							}
						}
						return n, sleep(ctx, 40*time.Microsecond)
					})
				})
				cancel()
			}
		})
	}
	all.Wait()
	functions.Wait()
	for snapshot(t, h).Losers > 0 { // the last of them are about to be counted
		runtime.Gosched()
	}
	s, budgeted := snapshot(t, h), budgetOf(t, b)
	inside.lock.Lock()
	defer inside.lock.Unlock()
	switch {
	case s.Calls != callers*each, budgeted.Calls != s.Attempts-s.Extra, inside.held != 0:
		t.Errorf("%+v; %+v; %d held", s.Totals, budgeted, inside.held)
	case s.Extra > budgeted.Extras, budgeted.Extras > s.Calls/2, // a call may end while the budget is asked
		s.Suppressed > budgeted.Suppressed, uint64(started) > s.Attempts, s.ExtraWon == 0:
		t.Errorf("%+v; %+v; %d started", s.Totals, budgeted, started)
	}
}
