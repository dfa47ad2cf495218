package backpressure

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/handletest"
)

// count yields 0 to n-1.
func count(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

// slowest takes the longer the smaller the item.
//
//bulwark:bubble
func slowest(_ context.Context, i int) (int, error) {
	time.Sleep(time.Duration(100-i) * time.Millisecond)
	return i * i, nil
}

// inStage runs test with a valve in a bubble, and checks afterwards that nothing is left.
//
//bulwark:bubble
func inStage(t *testing.T, c Config, test func(t *testing.T, v *Valve)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		v := spawnValve(t, actorstest.NewRegistry(t), c)
		test(t, v)
		synctest.Wait()
		if s := handletest.Settled(t, v); s.InFlight != 0 || s.Waiting != 0 {
			t.Errorf("left behind: %+v", s)
		}
	})
}

func TestMapKeepsTheOrder(t *testing.T) {
	inStage(t, Config{}, func(t *testing.T, v *Valve) {
		began := time.Now()
		next := 0
		for got, err := range Map(t.Context(), count(50), v, slowest, Parallel(10)) {
			if err != nil || got != next*next {
				t.Fatalf("item %d: %d, %v", next, got, err)
			}
			next++
		}
		if next != 50 {
			t.Errorf("%d items", next)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("took %v: not in parallel", took)
		}
	})
}

func TestMapUnorderedYieldsAsTheyCome(t *testing.T) {
	inStage(t, Config{}, func(t *testing.T, v *Valve) {
		var got []int
		for sq, err := range Map(t.Context(), count(10), v, slowest, Unordered(), nil) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, sq)
		}
		want := []int{81, 64, 49, 36, 25, 16, 9, 4, 1, 0}
		if !slices.Equal(got, want) {
			t.Errorf("got %v", got)
		}
	})
}

func TestMapIsBoundedByItsOwnLimitAndByItsGuard(t *testing.T) {
	for _, tt := range []struct {
		parallel int
		cfg      Config
		want     int64
	}{
		{3, Config{}, 3},
		{100, Config{MaxPending: 5, HighWater: 5, LowWater: 4}, 5},
		{-1, Config{}, 1},
	} {
		for _, opt := range []StageOption{nil, Unordered()} {
			inStage(t, tt.cfg, func(t *testing.T, v *Valve) {
				var running, most atomic.Int64
				taken := atomic.Int64{}
				source := func(yield func(int) bool) {
					for i := range 40 {
						taken.Add(1)
						if !yield(i) {
							return
						}
					}
				}
				n := int64(0)
				for _, err := range Map(t.Context(), source, v, func(ctx context.Context, i int) (int, error) {
					most.Store(max(most.Load(), running.Add(1)))
					defer running.Add(-1)
					return slowest(ctx, i)
				}, Parallel(tt.parallel), opt) {
					if n++; err != nil {
						t.Error(err)
					}
					if ahead := taken.Load() - n; ahead > int64(max(1, tt.parallel))+1 {
						t.Fatalf("%d items ahead", ahead)
					}
				}
				if n != 40 || most.Load() != tt.want {
					t.Errorf("%d items, %d at once, want %d", n, most.Load(), tt.want)
				}
			})
		}
	}
}

func TestAnItemThatFailsDoesNotEndTheStage(t *testing.T) {
	inStage(t, Config{}, func(t *testing.T, v *Valve) {
		odd := errors.New("odd")
		n := 0
		for got, err := range Map(t.Context(), count(10), v, func(_ context.Context, i int) (int, error) {
			if i%2 == 1 {
				return 0, odd
			}
			return i, nil
		}) {
			if n%2 == 1 && !errors.Is(err, odd) || n%2 == 0 && got != n {
				t.Errorf("item %d: %d, %v", n, got, err)
			}
			n++
		}
		if s := handletest.Settled(t, v); n != 10 || s.Failure != 5 || s.Success != 5 {
			t.Errorf("%d items, %+v", n, s.Counts)
		}
	})
}

func TestWhatTheGuardRefusesIsAnItemsError(t *testing.T) {
	inStage(t, Config{MaxPending: 1, MaxWaiting: NoQueue}, func(t *testing.T, v *Valve) {
		refused := 0
		for _, err := range Map(t.Context(), count(5), v, slowest) {
			if errors.Is(err, ErrPressure) {
				refused++
			}
		}
		if refused != 4 {
			t.Errorf("%d refused", refused)
		}
	})
}

func TestAGuardThatStoppedEndsTheStage(t *testing.T) {
	inStage(t, Config{}, func(t *testing.T, v *Valve) {
		if err := v.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, err := range Map(t.Context(), count(1000), v, slowest) {
			if n++; !errors.Is(err, actors.ErrStopped) {
				t.Errorf("error %v", err)
			}
		}
		if n != 1 {
			t.Errorf("%d items", n)
		}
	})
}

func TestAConsumerThatBreaksOffEndsTheCalls(t *testing.T) {
	for _, opts := range [][]StageOption{nil, {Unordered()}} {
		inStage(t, small, func(t *testing.T, v *Valve) {
			var cancelled atomic.Int64
			never := make(chan int)
			for got, err := range MapChan(t.Context(), feedChan(never, 0, 1, 2), v, func(ctx context.Context, i int) (int, error) {
				if i == 0 {
					return i, nil
				}
				<-ctx.Done()
				cancelled.Add(1)
				return 0, ctx.Err()
			}, opts...) {
				if got != 0 || err != nil {
					t.Errorf("%d, %v", got, err)
				}
				synctest.Wait()
				break
			}
			if cancelled.Load() != 2 {
				t.Errorf("%d calls were cancelled", cancelled.Load())
			}
		})
	}
}

// feedChan sends the items into c, which stays open.
func feedChan(c chan int, items ...int) <-chan int {
	go func() {
		for _, i := range items {
			c <- i
		}
	}()
	return c
}

func TestAConsumerThatBreaksOffDoesNotWaitForRoom(t *testing.T) {
	inStage(t, Config{}, func(t *testing.T, v *Valve) {
		for _, err := range Map(t.Context(), count(100), v, slowest, Parallel(1)) {
			if synctest.Wait(); err != nil { // the source has no room for another
				t.Error(err)
			}
			break
		}
	})
}

// late is a guard whose permit is there as its caller has left.
type late struct {
	*Valve
	leave context.CancelFunc
}

func (l late) Acquire(context.Context) (patterns.Permit, error) {
	defer l.leave()
	return l.Valve.Acquire(context.Background())
}

func TestAPermitThatComesTooLateGoesBack(t *testing.T) {
	inStage(t, Config{}, func(t *testing.T, v *Valve) {
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		for _, err := range Map(ctx, count(100), late{v, cancel}, slowest) {
			if n++; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		if s := handletest.Settled(t, v); n != 1 || s.Granted != 1 || s.Reclaimed != 1 {
			t.Errorf("%d errors, %+v", n, s.Counts)
		}
	})
}

func TestACancelledStageYieldsWhatIsUnderWayAndItsErrorLast(t *testing.T) {
	inStage(t, small, func(t *testing.T, v *Valve) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var errs []error
		for _, err := range Map(ctx, count(1000), v, func(ctx context.Context, _ int) (int, error) {
			<-ctx.Done()
			return 1, nil
		}) {
			errs = append(errs, err)
		}
		want := []error{nil, nil, nil, nil, context.DeadlineExceeded}
		if !slices.Equal(errs, want) {
			t.Errorf("errors %v", errs)
		}
	})
}

func TestAPanicGoesOnInTheConsumer(t *testing.T) {
	boom := errors.New("boom")
	for name, run := range map[string]func(v *Valve, ctx context.Context, opts ...StageOption){
		"function": func(v *Valve, ctx context.Context, opts ...StageOption) {
			for _, err := range Map(ctx, count(100), v, func(_ context.Context, i int) (int, error) {
				if i == 3 {
					panic(boom)
				}
				return i, nil
			}, opts...) {
				_ = err
			}
		},
		"source": func(v *Valve, ctx context.Context, opts ...StageOption) {
			for _, err := range Map(ctx, func(yield func(int) bool) {
				yield(1)
				panic(boom)
			}, v, slowest, opts...) {
				_ = err
			}
		},
	} {
		for _, opt := range []StageOption{nil, Unordered()} {
			t.Run(fmt.Sprint(name, opt == nil), func(t *testing.T) {
				inStage(t, Config{}, func(t *testing.T, v *Valve) {
					defer func() {
						p, ok := recover().(*PanicError)
						if !ok || !errors.Is(p, boom) || len(p.Stack) == 0 {
							t.Errorf("panicked with %v", p)
						}
					}()
					run(v, t.Context(), opt)
				})
			})
		}
	}
}

func TestAnItemWhoseFunctionExitsIsAnError(t *testing.T) {
	inStage(t, Config{}, func(t *testing.T, v *Valve) {
		for _, err := range Map(t.Context(), count(1), v, func(context.Context, int) (int, error) {
			runtime.Goexit()
			return 0, nil
		}) {
			if !errors.Is(err, ErrGoexit) {
				t.Errorf("error %v", err)
			}
		}
		n := 0
		for _, err := range Map(t.Context(), func(func(int) bool) { runtime.Goexit() }, v, slowest) {
			if n++; !errors.Is(err, ErrGoexit) {
				t.Errorf("error %v", err)
			}
		}
		if n != 1 {
			t.Errorf("%d errors", n)
		}
	})
}

func TestAConsumerThatPanicsLeavesNothingBehind(t *testing.T) {
	inStage(t, small, func(t *testing.T, v *Valve) {
		defer func() {
			if recover() != "consumer" {
				t.Error("no panic")
			}
		}()
		for _, err := range Map(t.Context(), count(100), v, slowest) {
			_ = err
			panic("consumer")
		}
	})
}

func TestMapChanEndsWithItsChannel(t *testing.T) {
	inStage(t, Config{}, func(t *testing.T, v *Valve) {
		in := make(chan int)
		var wg sync.WaitGroup
		wg.Go(func() {
			defer close(in)
			for i := range 5 {
				in <- i
			}
		})
		var got []int
		for sq, err := range MapChan(t.Context(), in, v, slowest) {
			if err != nil {
				t.Error(err)
			}
			got = append(got, sq)
		}
		wg.Wait()
		if !slices.Equal(got, []int{0, 1, 4, 9, 16}) {
			t.Errorf("got %v", got)
		}
	})
}

func TestWhatCannotBeRunIsAnError(t *testing.T) {
	v := spawnValve(t, actorstest.NewRegistry(t), Config{})
	for _, err := range Map[int, int](t.Context(), count(3), v, nil) {
		if !errors.Is(err, patterns.ErrNilFunc) {
			t.Errorf("error %v", err)
		}
	}
	for _, err := range Map(t.Context(), count(3), nil, slowest) {
		if !errors.Is(err, patterns.ErrNilGuard) {
			t.Errorf("error %v", err)
		}
	}
	for _, err := range Map(t.Context(), count(0), v, slowest) {
		t.Error("something out of nothing", err)
	}
}
