package family

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"
)

// must uses a member once.
func must(t *testing.T, f *Family[string], key string) *Member[string] {
	t.Helper()
	m, err := f.Use(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func itself(key string) (string, error) { return key, nil }

// ways are both kinds of family, with room for all that a test needs.
func ways(f func(key string) (string, error)) map[string]*Family[string] {
	return map[string]*Family[string]{
		"sharing":    Sharing(f),
		"forgetting": Forgetting(Most, f, func(context.Context, string, string) {}),
	}
}

func TestEachKeyHasAMemberThatIsMadeOnce(t *testing.T) {
	made := make(map[string]int)
	for name, f := range ways(func(key string) (string, error) {
		made[key]++ // one at a time
		return key, nil
	}) {
		clear(made)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for i := range 100 {
					key := strconv.Itoa(i)
					if m, err := f.Use(t.Context(), key); err != nil || m.Value != key || m.Key != key {
						t.Errorf("%s: %v, %v for %s", name, m, err, key)
					} else {
						m.Done()
					}
				}
			})
		}
		wg.Wait()
		for key, n := range made {
			if n != 1 {
				t.Errorf("%s: %s was made %d times", name, key, n)
			}
		}
		if len(made) != 100 {
			t.Errorf("%s: %d were made", name, len(made))
		}
	}
}

func TestThereAreOnlySoManyAndTheRestShareOne(t *testing.T) {
	f := Sharing(itself)
	for i := range 3 * Most {
		want := strconv.Itoa(i)
		if i >= Most {
			want = Rest
		}
		if m := must(t, f, strconv.Itoa(i)); m.Value != want {
			t.Fatalf("%v for %d", m.Value, i)
		}
	}
	n := 0
	for range f.All() {
		n++
	}
	if m := must(t, f, "7"); m.Value != "7" || n != Most+1 {
		t.Errorf("%v of %d", m.Value, n)
	}
}

func TestTheOneThatWasNotUsedForLongestIsForgotten(t *testing.T) {
	var forgotten []string
	f := Forgetting(2, itself, func(_ context.Context, key, v string) { forgotten = append(forgotten, key+v) })
	must(t, f, "a").Done()
	b := must(t, f, "b")
	must(t, f, "a").Done()
	must(t, f, "c").Done() // b is in use
	if _, err := f.Use(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Use(t.Context(), "d"); !errors.Is(err, ErrFull) {
		t.Errorf("%v", err)
	}
	b.Done()
	must(t, f, "d").Done() // c is in use once more, and b is not
	var left []string
	for key := range f.All() {
		left = append(left, key)
	}
	if !slices.Equal(forgotten, []string{"aa", "bb"}) || !slices.Equal(left, []string{"c", "d"}) {
		t.Errorf("%v are forgotten, %v left", forgotten, left)
	}
	(*Member[string])(nil).Done()

	forgotten = nil
	f = Forgetting(2, itself, func(_ context.Context, key, _ string) { forgotten = append(forgotten, key) })
	for _, key := range []string{"a", "b", "a", "c"} {
		must(t, f, key).Done()
	}
	if !slices.Equal(forgotten, []string{"b"}) {
		t.Errorf("%v are forgotten", forgotten)
	}
}

func TestAMemberThatCouldNotBeMadeIsTriedAgain(t *testing.T) {
	errNo := errors.New("no")
	for name, f := range ways(func(key string) (string, error) {
		if key == "x" {
			return "", errNo
		}
		return key, nil
	}) {
		for range 2 {
			if m, err := f.Use(t.Context(), "x"); m != nil || !errors.Is(err, errNo) {
				t.Errorf("%s: %v, %v", name, m, err)
			}
		}
		must(t, f, "y")
	}
}

func TestWhoLeavesDoesNotWaitUntilOthersAreMade(t *testing.T) {
	for name, f := range ways(itself) {
		f.making <- struct{}{}
		ctx, cancel := context.WithCancelCause(t.Context())
		errGone := errors.New("gone")
		cancel(errGone)
		if _, err := f.Use(ctx, "x"); !errors.Is(err, errGone) {
			t.Errorf("%s: %v", name, err)
		}
		<-f.making
	}
}
