package family

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"

	"github.com/bulwark-go/bulwark/patterns"
)

// named is a guard that has nothing but its name.
type named string

func (n named) Name() string                                         { return string(n) }
func (named) Acquire(context.Context) (p patterns.Permit, err error) { return p, err }
func (named) Terms() *patterns.Terms                                 { return nil }
func (named) AcquireFor(context.Context, patterns.Request) (p patterns.Permit, err error) {
	return p, err
}

func TestEachKeyHasAGuardThatIsMadeOnce(t *testing.T) {
	made := make(map[string]int)
	f := New(func(key string) (patterns.Guard, error) {
		made[key]++
		return named(key), nil
	})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 100 {
				key := strconv.Itoa(i)
				if g, err := f.Of(key); err != nil || g.Name() != key {
					t.Errorf("%v, %v for %s", g, err, key)
				}
			}
		})
	}
	wg.Wait()
	for key, n := range made {
		if n != 1 {
			t.Errorf("%s was made %d times", key, n)
		}
	}
}

func TestThereAreOnlySoManyAndTheRestShareOne(t *testing.T) {
	n := 0
	f := New(func(key string) (patterns.Guard, error) {
		n++
		return named(key), nil
	})
	for i := range 3 * Most {
		g, err := f.Of(strconv.Itoa(i))
		want := strconv.Itoa(i)
		if i >= Most {
			want = Rest
		}
		if err != nil || g.Name() != want {
			t.Fatalf("%v, %v for %d", g, err, i)
		}
	}
	if g, _ := f.Of("7"); g.Name() != "7" || n != Most+1 {
		t.Errorf("%v after %d were made", g, n)
	}
}

func TestAGuardThatCouldNotBeMadeIsTriedAgain(t *testing.T) {
	errNo := errors.New("no")
	results := []func() (patterns.Guard, error){
		func() (patterns.Guard, error) { return nil, errNo },
		func() (patterns.Guard, error) { return nil, nil },
		func() (patterns.Guard, error) { return named("x"), nil },
	}
	f := New(func(string) (patterns.Guard, error) {
		next := results[0]
		results = results[1:]
		return next()
	})
	for _, want := range []error{errNo, patterns.ErrNilGuard, nil} {
		if _, err := f.Of("x"); !errors.Is(err, want) {
			t.Errorf("error %v, want %v", err, want)
		}
	}
}
