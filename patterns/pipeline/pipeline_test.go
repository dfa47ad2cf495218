package pipeline

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/bulwark-go/bulwark/patterns"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	errRefused = fmt.Errorf("refused: %w", patterns.ErrRejected)
	errBank    = errors.New("bank")
)

// door is a guard that keeps books.
type door struct {
	name     string
	terms    *patterns.Terms
	pattern  string
	refuse   func() error
	granted  int
	outcomes []patterns.Outcome
	released int
	asked    []patterns.Request
	ended    map[uint64]bool
}

func newDoor(name string) *door { return &door{name: name, ended: map[uint64]bool{}} }

func (d *door) Name() string           { return d.name }
func (d *door) Terms() *patterns.Terms { return d.terms }
func (d *door) Pattern() string        { return d.pattern }

func (d *door) Acquire(ctx context.Context) (patterns.Permit, error) {
	return d.AcquireFor(ctx, patterns.Request{})
}

func (d *door) AcquireFor(ctx context.Context, r patterns.Request) (patterns.Permit, error) {
	d.asked = append(d.asked, r)
	if err := ctx.Err(); err != nil {
		return patterns.Permit{}, err
	}
	if d.refuse != nil {
		if err := d.refuse(); err != nil {
			return patterns.Permit{}, err
		}
	}
	d.granted++
	return patterns.NewPermit(d, uint64(d.granted), 0), nil
}

func (d *door) end(id uint64) bool {
	fresh := !d.ended[id]
	d.ended[id] = true
	return fresh
}

func (d *door) Settle(id uint64, _ patterns.Instant, o patterns.Outcome) bool {
	d.outcomes = append(d.outcomes, o)
	return d.end(id)
}

func (d *door) Release(id uint64) {
	d.released++
	d.end(id)
}

// books says how the permits ended: "S" for Success, "F", "D", "I", and "-" for given back.
func (d *door) books() string {
	s := strings.Repeat("-", d.released)
	for _, o := range d.outcomes {
		s += strings.ToUpper(o.String()[:1])
	}
	return s
}

// again is a policy that tries so often.
type again struct {
	*door
	times int
	after func(patterns.Call)
}

func (a *again) Around(ctx context.Context, c patterns.Call) (err error) {
	for range a.times {
		if err = c.Try(ctx); err == nil {
			return nil
		}
		if a.after != nil {
			a.after(c)
		}
	}
	return err
}

func retrying(times int) *again {
	a := &again{door: newDoor("again"), times: times}
	a.terms = &patterns.Terms{Policy: a}
	return a
}

func must(t testing.TB, guards ...patterns.Guard) *Pipeline {
	t.Helper()
	p, err := New("bank", guards...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func refusing(name string) *door {
	d := newDoor(name)
	d.refuse = func() error { return errRefused }
	return d
}

func judged(name string, rules ...patterns.Rule) *door {
	d := newDoor(name)
	d.terms = &patterns.Terms{Judge: patterns.NewJudge(rules...)}
	return d
}

func TestACallGoesThroughAllGuardsOrLeavesNoTrace(t *testing.T) {
	for _, tt := range []struct {
		name   string
		guards func() []*door
		fn     error
		books  string
		err    error
	}{
		{"all admit", func() []*door { return []*door{newDoor("a"), newDoor("b")} }, nil, "S S", nil},
		{"the function fails", func() []*door { return []*door{newDoor("a"), newDoor("b")} }, errBank, "F F", errBank},
		{"the inner one refuses", func() []*door { return []*door{newDoor("a"), newDoor("b"), refusing("c")} }, nil, "- - ", errRefused},
		{"the outer one refuses", func() []*door { return []*door{refusing("a"), newDoor("b")} }, nil, " ", errRefused},
		{"one with a judge", func() []*door { return []*door{judged("a", patterns.IgnoreOn(errBank)), newDoor("b")} }, errBank, "I F", errBank},
		{"one with a judge, refused", func() []*door { return []*door{judged("a"), refusing("b")} }, nil, "- ", errRefused},
		{"a refusal that the function returns is none of a guard's", func() []*door { return []*door{judged("a"), newDoor("b")} }, errRefused, "I I", errRefused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			doors := tt.guards()
			guards := make([]patterns.Guard, len(doors))
			for i, d := range doors {
				guards[i] = d
			}
			v, err := patterns.Do(t.Context(), must(t, guards...), func(context.Context) (int, error) { return 7, tt.fn })
			if !errors.Is(err, tt.err) || err == nil && v != 7 {
				t.Errorf("%d, %v", v, err)
			}
			var books []string
			for _, d := range doors {
				books = append(books, d.books())
			}
			if got := strings.Join(books, " "); got != tt.books {
				t.Errorf("books %q, want %q", got, tt.books)
			}
		})
	}
}

func TestWhatAGuardOutsideOfARetrySees(t *testing.T) {
	for _, tt := range []struct {
		name         string
		refusals     []bool // by the guard inside, of each attempt
		outer, inner string
	}{
		{"it is called in the end", []bool{true, true, false}, "S", "S"},
		{"it never is", []bool{true, true, true}, "-", ""},
		{"one attempt is made, and fails", []bool{true, false, true}, "I", "F"},
		{"the first is made, and fails", []bool{false, true, true}, "I", "F"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			outer, inner, n := newDoor("outer"), newDoor("inner"), 0
			inner.refuse = func() error {
				if n++; tt.refusals[n-1] {
					return errRefused
				}
				return nil
			}
			p := must(t, outer, retrying(3), inner)
			err := patterns.Run(t.Context(), p, func(context.Context) error {
				if n < 3 {
					return errBank
				}
				return nil
			})
			if outer.books() != tt.outer || inner.books() != tt.inner {
				t.Errorf("outer %q, inner %q; %v", outer.books(), inner.books(), err)
			}
		})
	}
}

// An attempt that another one was made before is refused all the same.
func TestAnAttemptThatWasRefusedCostsNothingEvenIfAnotherWasMade(t *testing.T) {
	middle, inner, n := newDoor("middle"), newDoor("inner"), 0
	inner.refuse = func() error {
		if n++; n == 2 {
			return errRefused
		}
		return nil
	}
	var began []bool
	a := retrying(2)
	a.after = func(c patterns.Call) { began = append(began, c.Began()) }
	deep, err := New("deep", middle, judged("x"))
	if err != nil {
		t.Fatal(err)
	}
	_ = patterns.Run(t.Context(), must(t, a, deep, inner), func(context.Context) error { return errBank })
	if middle.books() != "-F" || !slices.Equal(began, []bool{true, false}) {
		t.Errorf("books %q, began %v", middle.books(), began)
	}
}

func TestWhatWasLeftBehindIsNoLessAFailure(t *testing.T) {
	late := errors.New("too late")
	leave, done := make(chan bool), make(chan error, 1)
	// A timeout that abandons: the attempt goes on by itself.
	behind := newDoor("timeout")
	behind.terms = &patterns.Terms{Policy: around(func(ctx context.Context, call patterns.Call) error {
		fork := call.Fork()
		go func() { done <- fork.Try(ctx) }()
		return late
	})}
	outside, inside := newDoor("breaker"), newDoor("room")
	p, err := New("", outside, behind, inside)
	if err != nil {
		t.Fatal(err)
	}
	err = patterns.Run(t.Context(), p, func(context.Context) error { <-leave; return nil })
	if !errors.Is(err, late) || !slices.Equal(outside.outcomes, []patterns.Outcome{patterns.Failure}) || outside.released != 0 {
		t.Errorf("got %v, %v, %d released", err, outside.outcomes, outside.released)
	}
	close(leave)
	if err := <-done; err != nil || !slices.Equal(inside.outcomes, []patterns.Outcome{patterns.Success}) {
		t.Errorf("got %v, %v", err, inside.outcomes)
	}
}

// around is a policy.
type around func(context.Context, patterns.Call) error

func (f around) Around(ctx context.Context, call patterns.Call) error { return f(ctx, call) }

func TestAPanicAndAGoexitEndEveryPermit(t *testing.T) {
	for name, leave := range map[string]func(){"panic": func() { panic("ouch") }, "goexit": runtime.Goexit} {
		a, b := newDoor("a"), judged("b")
		p := must(t, a, retrying(2), b)
		gone := make(chan any)
		go func() {
			defer func() { gone <- recover() }()
			_ = patterns.Run(t.Context(), p, func(context.Context) error { leave(); return nil })
		}()
		if v := <-gone; (v != nil) != (name == "panic") || a.books() != "F" || b.books() != "F" {
			t.Errorf("%s: %v; %q, %q", name, v, a.books(), b.books())
		}
	}
}

func TestEveryGuardIsAskedForTheRequest(t *testing.T) {
	r := patterns.Request{Key: "k", Weight: 2, Priority: patterns.High}
	for _, extra := range [][]patterns.Guard{nil, {retrying(1)}} {
		a, b := newDoor("a"), newDoor("b")
		p := must(t, append(extra, a, b)...)
		if _, err := patterns.DoFor(t.Context(), p, r, func(context.Context) (int, error) { return 0, nil }); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(a.asked, []patterns.Request{r}) || !slices.Equal(b.asked, []patterns.Request{r}) {
			t.Errorf("asked for %v, %v", a.asked, b.asked)
		}
	}
}

func TestByPermit(t *testing.T) {
	a, b := newDoor("a"), newDoor("b")
	p := must(t, a, b)
	first, err := p.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	copied := first
	if !first.Report(patterns.Success) || first.Report(patterns.Success) || copied.Report(patterns.Failure) {
		t.Error("a permit ends once")
	}
	second, _ := p.AcquireFor(t.Context(), patterns.Request{Weight: 2})
	copied.Release() // of a permit that is over
	second.Release()
	if a.books() != "-S" || b.books() != "-S" {
		t.Errorf("%q, %q", a.books(), b.books())
	}
	b.refuse = func() error { return errRefused }
	if _, err := p.AcquireFor(t.Context(), patterns.Request{}); !errors.Is(err, errRefused) || a.books() != "--S" {
		t.Errorf("%v, %q", err, a.books())
	}
	_, err = p.AcquireFor(t.Context(), patterns.Request{Spend: true})
	if !errors.Is(err, patterns.ErrInvalidRequest) || !errors.Is(err, patterns.ErrRejected) || !strings.Contains(err.Error(), `"bank"`) {
		t.Errorf("spend: %v", err)
	}
	whole := must(t, retrying(1), newDoor("c"))
	for _, acquire := range []func() (patterns.Permit, error){
		func() (patterns.Permit, error) { return whole.Acquire(t.Context()) },
		func() (patterns.Permit, error) { return whole.AcquireFor(t.Context(), patterns.Request{}) },
	} {
		if _, err := acquire(); !errors.Is(err, patterns.ErrPolicy) {
			t.Errorf("with a policy: %v", err)
		}
	}
}

func TestATimedGuardBoundsWhatIsInside(t *testing.T) {
	d := newDoor("d")
	d.terms = &patterns.Terms{Timeout: time.Hour}
	err := patterns.Run(t.Context(), must(t, d), func(ctx context.Context) error {
		if by, ok := ctx.Deadline(); !ok || time.Until(by) > time.Hour {
			return errBank
		}
		return nil
	})
	if err != nil {
		t.Error("no deadline")
	}
}

func TestWhatIsNoPipelineIsRefused(t *testing.T) {
	a := newDoor("a")
	many := make([]patterns.Guard, MaxGuards+1)
	for i := range many {
		many[i] = newDoor(fmt.Sprint(i))
	}
	_, err := New("p", a, nil, a)
	if !errors.Is(err, patterns.ErrNilGuard) || !errors.Is(err, ErrTwice) || !strings.Contains(err.Error(), "a, at 2") {
		t.Errorf("not every fault: %v", err)
	}
	if _, err := New("p"); !errors.Is(err, ErrNoGuards) {
		t.Error(err)
	}
	if _, err := New("p", many...); !errors.Is(err, ErrTooMany) {
		t.Error(err)
	}
}

func TestNamesAndParts(t *testing.T) {
	a, b := newDoor("a"), newDoor("b")
	inner, _ := New("", a, b)
	p, _ := New("bank", retrying(1), inner)
	if inner.Name() != "a>b" || p.Name() != "bank" || p.String() != "again ▶ (a ▶ b)" || len(p.Guards()) != 2 {
		t.Errorf("%s, %s, %v", inner.Name(), p.Name(), p)
	}
}

func TestLintNamesOrdersThatDefeatThemselves(t *testing.T) {
	of := func(pattern string) *door { d := newDoor(pattern + "!"); d.pattern = pattern; return d }
	good := must(t, of("fallback"), of("timeout"), of("ratelimiter"), of("retry"), of("circuitbreaker"), of("bulkhead"))
	var names []string
	for _, w := range Lint(good) {
		names = append(names, w.Rule)
	}
	if !slices.Equal(names, []string{"timeout-outside-retry"}) {
		t.Errorf("found %v", names)
	}
	names = nil
	for _, w := range Lint(must(t, of("adaptive"), of("bulkhead"), of("hedge"), of("timeout"), of("hedge"))) {
		names = append(names, w.Rule)
	}
	if !slices.Equal(names, []string{"adaptive-outside-hedge", "adaptive-outside-hedge", "bulkhead-outside-hedge", "bulkhead-outside-hedge", "hedge-outside-hedge"}) {
		t.Errorf("found %v", names)
	}
	inner, _ := New("inner", of("retry"), newDoor("other"))
	bad, _ := New("bad", of("retry"), inner, of("fallback"))
	names = nil
	for _, w := range Lint(bad) {
		names = append(names, w.Rule)
		if w.Outer != "retry!" || !strings.Contains(w.String(), w.Inner) || w.Why == "" {
			t.Errorf("%+v", w)
		}
	}
	if !slices.Equal(names, []string{"retry-outside-retry", "retry-outside-fallback", "retry-outside-fallback"}) {
		t.Errorf("found %v", names)
	}
}

// Whatever refuses, fails or panics, wherever, and however often it is tried: every permit
// ends once, and a guard learns of a call if and only if the function was called within it.
func TestNoPermitIsLostOrDoubled(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 5).Draw(t, "guards")
		var doors []*door
		var guards []patterns.Guard
		calls := 0
		ctx, cancel := context.WithCancel(context.Background())
		defer func() { cancel() }()
		for i := range n {
			d := newDoor(fmt.Sprint("d", i))
			if rapid.Bool().Draw(t, "judge") {
				d.terms = &patterns.Terms{Judge: patterns.NewJudge()}
			}
			d.refuse = func() error {
				if rapid.IntRange(0, 4).Draw(t, "refuse") == 0 {
					return errRefused
				}
				if rapid.IntRange(0, 9).Draw(t, "cancel") == 0 { // the caller leaves while it waits
					cancel()
					return ctx.Err()
				}
				if rapid.IntRange(0, 9).Draw(t, "panic") == 0 {
					panic("ouch")
				}
				return nil
			}
			doors, guards = append(doors, d), append(guards, d)
			if rapid.IntRange(0, 3).Draw(t, "retry") == 0 {
				guards = append(guards, retrying(rapid.IntRange(1, 3).Draw(t, "times")))
			}
		}
		if n > 2 && rapid.Bool().Draw(t, "nested") {
			inner, err := New("", guards[1:]...)
			if err != nil {
				t.Fatal(err)
			}
			guards = []patterns.Guard{guards[0], inner}
		}
		p, err := New("p", guards...)
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			before := calls
			cancel()
			ctx, cancel = context.WithCancel(context.Background())
			learned := 0
			for _, d := range doors {
				learned -= len(d.outcomes)
			}
			func() {
				defer func() {
					if r := recover(); r != nil && r != "ouch" {
						panic(r)
					}
				}()
				_ = patterns.Run(ctx, p, func(context.Context) error {
					calls++
					switch rapid.IntRange(0, 4).Draw(t, "end") {
					case 0:
						return errBank
					case 1:
						panic("ouch")
					case 2:
						cancel()
						return ctx.Err()
					}
					return nil
				})
			}()
			for _, d := range doors {
				learned += len(d.outcomes)
				if len(d.ended) != d.granted || len(d.outcomes)+d.released != d.granted {
					t.Fatalf("%s granted %d, ended %d, %d reported, %d released", d.name, d.granted, len(d.ended), len(d.outcomes), d.released)
				}
			}
			if calls == before && learned != 0 {
				t.Fatalf("nothing was called, and %d outcomes learned", learned)
			}
			if last := doors[n-1]; calls-before > 0 && learned == 0 {
				t.Fatalf("called, and %s learned nothing", last.name)
			}
		}
	})
}

// quiet is a guard that keeps no books, so that only the pipeline could allocate.
type quiet struct{ terms *patterns.Terms }

func (q *quiet) Name() string           { return "q" }
func (q *quiet) Terms() *patterns.Terms { return q.terms }
func (q *quiet) Acquire(context.Context) (patterns.Permit, error) {
	return patterns.NewPermit(q, 1, 0), nil
}

func (q *quiet) AcquireFor(context.Context, patterns.Request) (patterns.Permit, error) {
	return patterns.NewPermit(q, 1, 0), nil
}
func (q *quiet) Settle(uint64, patterns.Instant, patterns.Outcome) bool { return true }
func (q *quiet) Release(uint64)                                         {}

func TestAllocationsOfACall(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	fn := func(context.Context) (int, error) { return 1, nil }
	ctx := context.Background()
	for _, tt := range []struct {
		name string
		p    *Pipeline
		want float64
	}{
		{"admission only", must(t, &quiet{}, &quiet{terms: nil}, &quiet{}), 0},
		{"with a judge", must(t, &quiet{terms: &patterns.Terms{Judge: patterns.NewJudge()}}, &quiet{}), 1},
		{"with a policy", must(t, retrying(1), &quiet{}), 1},
	} {
		if n := testing.AllocsPerRun(200, func() { _, _ = patterns.Do(ctx, tt.p, fn) }); n > tt.want {
			t.Errorf("%s: %v allocations, want %v", tt.name, n, tt.want)
		}
	}
}
