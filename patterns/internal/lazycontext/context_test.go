package lazycontext

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	errLate  = errors.New("late")
	errGone  = errors.New("the parent is gone")
	errInner = errors.New("a child is gone")
)

type key struct{}

// pair is a Context and its twin, children of the same parent.
type pair struct {
	ours, twin context.Context
	lazy       *Context
	stop       context.CancelFunc
}

// differ compares all that can be seen of the two.
func (p *pair) differ(t *testing.T, what string) {
	t.Helper()
	if a, b := p.ours.Err(), p.twin.Err(); !same(a, b) {
		t.Errorf("%s: Err is %v, want %v", what, a, b)
	}
	if a, b := context.Cause(p.ours), context.Cause(p.twin); !same(a, b) {
		t.Errorf("%s: the cause is %v, want %v", what, a, b)
	}
	a, ok := p.ours.Deadline()
	if b, has := p.twin.Deadline(); !a.Equal(b) || ok != has {
		t.Errorf("%s: Deadline is %v, want %v", what, a, b)
	}
	for _, k := range []any{key{}, "no", new(int)} {
		if a, b := p.ours.Value(k), p.twin.Value(k); a != b {
			t.Errorf("%s: Value(%v) is %v, want %v", what, k, a, b)
		}
	}
	if a, b := closed(p.ours), closed(p.twin); a != b {
		t.Errorf("%s: Done is closed: %v, want %v", what, a, b)
	}
	if p.lazy != nil && p.lazy.Expired() != same(context.Cause(p.twin), errLate) {
		t.Errorf("%s: Expired is %v, the cause %v", what, p.lazy.Expired(), context.Cause(p.twin))
	}
}

// same is stricter than errors.Is.
func same(a, b error) bool { return any(a) == any(b) }

func closed(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return true
	default:
		return false
	}
}

// play does what the bytes say to both. Deadlines lie between the moments at which anything
// is done.
//
//bulwark:bubble
func play(t *testing.T, script []byte) {
	whole := script
	defer func() {
		if t.Failed() {
			t.Logf("script %v", whole)
		}
	}()
	ctx, cancel := context.WithCancelCause(context.WithValue(context.Background(), key{}, 7))
	defer cancel(nil)
	next := func() (b int) {
		if len(script) > 0 {
			b, script = int(script[0]), script[1:]
		}
		return b
	}
	made := time.Duration(0)
	after := func() time.Time { // no two at the same time: a tie is the parent's here, and anybody's there
		made += time.Microsecond
		return time.Now().Add(time.Duration(next()%8)*time.Millisecond - time.Millisecond/2 + made)
	}
	setup := next()
	if setup&1 != 0 {
		outer, stop := context.WithDeadlineCause(ctx, after(), errGone)
		defer stop()
		ctx = outer
	}
	if setup&2 != 0 {
		outer := new(Context)
		outer.Begin(ctx, after(), errGone)
		defer outer.End()
		ctx = outer
	}
	at := after()
	var lazy Context
	lazy.Begin(ctx, at, errLate)
	twin, stop := context.WithDeadlineCause(ctx, at, errLate)
	defer stop()
	defer lazy.End()
	pairs := []*pair{{ours: &lazy, twin: twin, lazy: &lazy, stop: func() { lazy.End(); stop() }}}
	calls := [2]atomic.Int32{}
	for len(script) > 0 {
		p := pairs[next()%len(pairs)]
		switch op := next(); op % 8 {
		case 0, 1:
			time.Sleep(time.Duration(op/8%4) * time.Millisecond)
			synctest.Wait()
			if op&64 != 0 {
				continue // let it pass unseen
			}
		case 2:
			for _, p := range pairs { // where nobody looked, who cancels comes first
				_ = p.ours.Err()
			}
			_ = ctx.Err()
			cancel(errGone)
		case 3:
			for _, p := range pairs {
				_ = p.ours.Err()
			}
			p.stop()
		case 4:
			a, stopA := context.WithCancelCause(p.ours)
			b, stopB := context.WithCancelCause(p.twin)
			stopBoth := func() { stopA(errInner); stopB(errInner) }
			defer stopBoth()
			pairs = append(pairs, &pair{ours: a, twin: b, stop: stopBoth})
		case 5:
			in := after()
			a, stopA := context.WithDeadlineCause(p.ours, in, errInner)
			b, stopB := context.WithDeadlineCause(p.twin, in, errInner)
			stopBoth := func() { stopA(); stopB() }
			defer stopBoth()
			pairs = append(pairs, &pair{ours: a, twin: b, stop: stopBoth})
		case 6:
			for i, c := range []context.Context{p.ours, p.twin} {
				undo := context.AfterFunc(c, func() { calls[i].Add(1) })
				defer undo()
			}
		case 7:
			in := after()
			var inner Context
			inner.Begin(p.ours, in, errInner)
			b, stopB := context.WithDeadlineCause(p.twin, in, errInner)
			stopBoth := func() { inner.End(); stopB() }
			defer stopBoth()
			pairs = append(pairs, &pair{ours: &inner, twin: b, stop: stopBoth})
		}
		synctest.Wait()
		if a, b := calls[0].Load(), calls[1].Load(); a != b {
			t.Errorf("%d functions were called, want %d", a, b)
		}
		for i, p := range pairs {
			p.differ(t, string(rune('a'+i)))
		}
		if t.Failed() {
			return
		}
	}
}

func TestNobodyCanTellItFromAnOrdinaryContext(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		script := make([]byte, 3+r.IntN(40))
		for i := range script {
			script[i] = byte(r.Uint32())
		}
		synctest.Test(t, func(t *testing.T) { play(t, script) })
		if t.Failed() {
			return
		}
	}
}

func FuzzContext(f *testing.F) {
	f.Add([]byte{0, 3, 0, 33, 0, 2, 0, 3})
	f.Add([]byte{3, 1, 2, 4, 0, 4, 1, 5, 6, 1, 6, 0, 25, 0, 7})
	f.Fuzz(func(t *testing.T, script []byte) {
		synctest.Test(t, func(t *testing.T) { play(t, script[:min(len(script), 64)]) })
	})
}

func TestItEndsByTheClockWithoutATimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Context
		c.Begin(t.Context(), time.Now().Add(time.Second), errLate)
		defer c.End()
		time.Sleep(time.Second - 1)
		if c.Err() != nil || c.Expired() || c.behind.Load() != nil {
			t.Error("it ended too early, or has a timer")
		}
		time.Sleep(1)
		if !c.Expired() || c.behind.Load() != nil || !errors.Is(c.Err(), context.DeadlineExceeded) || !same(context.Cause(&c), errLate) {
			t.Errorf("error %v, cause %v", c.Err(), context.Cause(&c))
		}
		c.End()
		if !closed(&c) || !c.Expired() || !errors.Is(c.Err(), context.DeadlineExceeded) {
			t.Error("it ended twice")
		}
	})
}

func TestADeadlineOfTheParentIsTheParents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := time.Now().Add(time.Second)
		parent, stop := context.WithDeadlineCause(t.Context(), at, errGone)
		defer stop()
		for _, later := range []time.Duration{0, time.Second} {
			for _, waited := range []bool{true, false} {
				var c Context
				c.Begin(parent, at.Add(later), errLate)
				if waited {
					<-c.Done()
				} else {
					time.Sleep(2 * time.Second)
				}
				if c.Expired() || !same(context.Cause(&c), errGone) {
					t.Errorf("%v later: cause %v", later, context.Cause(&c))
				}
				c.End()
			}
		}
	})
}

func TestManyMayAskAtOnce(t *testing.T) {
	for range 200 {
		parent, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		var c Context
		c.Begin(parent, time.Now().Add(time.Hour), errLate)
		var all sync.WaitGroup
		dones := make(chan (<-chan struct{}), 8)
		for i := range 8 {
			all.Go(func() {
				switch i {
				case 0:
					cancel(errGone)
				case 1:
					c.End()
				}
				_ = c.Err()
				_ = c.Value(key{})
				dones <- c.Done()
				_ = c.Expired()
			})
		}
		all.Wait()
		c.End()
		cause := context.Cause(&c)
		if c.Err() == nil || cause == nil {
			t.Fatal("it goes on")
		}
		for range 8 {
			<-<-dones
		}
	}
}

func TestNothingIsAllocatedUntilSomebodyWaits(t *testing.T) {
	n := testing.AllocsPerRun(100, func() {
		var c Context
		use(t.Context(), &c)
	})
	if n > 1 { // c itself
		t.Errorf("%v allocations", n)
	}
}

//go:noinline
func use(parent context.Context, c *Context) {
	c.Begin(parent, time.Now().Add(time.Hour), errLate)
	if c.Err() != nil || c.Value(key{}) != nil || c.Expired() {
		panic("it ended")
	}
	c.End()
}

func BenchmarkUnasked(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		c := new(Context)
		c.Begin(b.Context(), time.Now().Add(time.Hour), errLate)
		c.End()
	}
}

func BenchmarkTwin(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_, stop := context.WithTimeoutCause(b.Context(), time.Hour, errLate)
		stop()
	}
}

// Whoever looks when, a Context without a deadline of its own ends as WithCancelCause does.
func TestOneWithoutADeadlineEndsForAReason(t *testing.T) {
	until := time.Now().Add(time.Hour)
	for _, tt := range []struct {
		name string
		end  func(gone context.CancelCauseFunc, ours, twin context.CancelCauseFunc)
	}{
		{"nobody ends it", func(_, _, _ context.CancelCauseFunc) {}},
		{"for a reason", func(_, ours, twin context.CancelCauseFunc) { ours(errInner); twin(errInner) }},
		{"for none", func(_, ours, twin context.CancelCauseFunc) { ours(nil); twin(nil) }},
		{"the parent ends first", func(gone, ours, twin context.CancelCauseFunc) { gone(errGone); ours(errInner); twin(errInner) }},
		{"it ends first", func(gone, ours, twin context.CancelCauseFunc) { ours(errInner); twin(errInner); gone(errGone) }},
	} {
		for name, look := range map[string]func(c context.Context){
			"unseen": func(context.Context) {},
			"seen":   func(c context.Context) { _ = c.Done() },
		} {
			t.Run(tt.name+", "+name, func(t *testing.T) {
				root, stop := context.WithDeadline(t.Context(), until)
				defer stop()
				parent, gone := context.WithCancelCause(root)
				defer gone(nil)
				twin, cancel := context.WithCancelCause(parent)
				defer cancel(nil)
				ours := new(Context)
				ours.Under(parent)
				look(ours)
				tt.end(gone, func(cause error) {
					if look(ours); tt.name == "the parent ends first" {
						_ = ours.Err() // of two ends that nobody saw the later one may be told
					}
					ours.EndFor(cause)
				}, cancel)
				(&pair{ours: ours, twin: twin}).differ(t, "at the end")
				ours.EndFor(nil)
			})
		}
	}
}
