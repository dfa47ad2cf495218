package config

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
)

// watched is a file, and a Set that is kept as it says.
type watched struct {
	t     *testing.T
	path  string
	set   *Set
	rooms *bulkhead.Bulkhead
	log   logbook
	mtime time.Time
}

// watching runs f with a file that is watched once a second, in a bubble.
//
//bulwark:bubble
func watching(t *testing.T, f func(w *watched)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &watched{t: t, path: filepath.Join(t.TempDir(), "shop.yaml"), mtime: time.Now()}
		w.write("guards: { rooms: { bulkhead: { max_concurrent: 1 } } }")
		file, err := Load(w.path, Environ())
		if err != nil {
			t.Fatal(err)
		}
		guards := actorstest.NewRegistry(t)
		if w.set, err = file.Spawn(guards, WithLogger(w.log.logger())); err != nil {
			t.Fatal(err)
		}
		w.rooms, _ = actors.Find[*bulkhead.Bulkhead](guards, "rooms")
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- Watch(ctx, w.path, w.set, time.Second) }()
		time.Sleep(time.Second / 2) // between two looks
		synctest.Wait()
		w.log.take()
		f(w)
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
	})
}

// write writes the file at a time of its own, which no filesystem's clock could tell apart.
func (w *watched) write(text string) {
	w.t.Helper()
	w.mtime = w.mtime.Add(time.Millisecond)
	err := errors.Join(os.WriteFile(w.path, []byte(text), 0o600), os.Chtimes(w.path, w.mtime, w.mtime))
	if err != nil {
		w.t.Fatal(err)
	}
}

// after lets so many looks pass, and returns the limit and what was logged meanwhile.
//
//bulwark:bubble
func (w *watched) after(looks int) (limit int, logged []string) {
	w.t.Helper()
	time.Sleep(time.Duration(looks) * time.Second)
	synctest.Wait()
	s, _ := w.rooms.Snapshot(w.t.Context())
	if logged = w.log.take(); logged[0] == "" {
		logged = nil
	}
	return s.Limit, logged
}

func TestAChangeOfTheFileIsAppliedOnceItRests(t *testing.T) {
	watching(t, func(w *watched) {
		if limit, logged := w.after(5); limit != 1 || logged != nil {
			t.Errorf("unchanged: %d, %q", limit, logged)
		}
		w.write("guards: { rooms: { bulkhead: { max_concurrent: 2 } } }")
		if limit, logged := w.after(1); limit != 1 || logged != nil {
			t.Errorf("it was read at once: %d, %q", limit, logged)
		}
		w.write("guards: { rooms: { bulkhead: { max_concurrent: 3 } } }")
		if limit, logged := w.after(1); limit != 1 || logged != nil {
			t.Errorf("it was read while it changed: %d, %q", limit, logged)
		}
		limit, logged := w.after(1)
		if limit != 3 || len(logged) != 1 || !strings.Contains(logged[0], "file=shop.yaml") || !strings.Contains(logged[0], "rooms.max_concurrent: 1 → 3") {
			t.Errorf("%d, %q", limit, logged)
		}
		w.write("guards: { rooms: { bulkhead: { max_concurrent: 3 } } }") // touched
		if limit, logged := w.after(5); limit != 3 || logged != nil {
			t.Errorf("touched: %d, %q", limit, logged)
		}
	})
}

func TestABadFileIsRefusedOnceAndAllGoesOn(t *testing.T) {
	watching(t, func(w *watched) {
		w.write("guards: { rooms: { bulkhead: { max_concurent: 2 } } }")
		limit, logged := w.after(5)
		if limit != 1 || len(logged) != 1 || !strings.Contains(logged[0], "shop.yaml:1:32: guards.rooms.bulkhead.max_concurent: unknown key, is max_concurrent meant?") {
			t.Errorf("bad: %d, %q", limit, logged)
		}
		w.write("")
		if limit, logged := w.after(5); limit != 1 || len(logged) != 1 || !strings.Contains(logged[0], "is empty") {
			t.Errorf("empty: %d, %q", limit, logged)
		}
		if err := os.Remove(w.path); err != nil {
			t.Fatal(err)
		}
		if limit, logged := w.after(5); limit != 1 || len(logged) != 1 || !strings.Contains(logged[0], "no such file") {
			t.Errorf("gone: %d, %q", limit, logged)
		}
		w.write("guards: { rooms: { bulkhead: { max_concurrent: 4 } } }")
		if limit, logged := w.after(2); limit != 4 || len(logged) != 1 {
			t.Errorf("back: %d, %q", limit, logged)
		}
		if err := os.Remove(w.path); err != nil {
			t.Fatal(err)
		}
		if limit, logged := w.after(5); limit != 4 || len(logged) != 1 {
			t.Errorf("gone again: %d, %q", limit, logged)
		}
	})
}

// stuck makes the guard refuse to be changed so many times.
func (w *watched) stuck(times int) {
	m := w.set.current.Load().guards["rooms"]
	change := m.reconfigure
	m.reconfigure = func(ctx context.Context, c any) error {
		if times--; times >= 0 {
			return actors.ErrFailed
		}
		return change(ctx, c)
	}
}

func TestAFileThatCouldNotBeAppliedIsTriedAgain(t *testing.T) {
	const wanted = "guards: { rooms: { bulkhead: { max_concurrent: 2 } } }"
	for _, tt := range []struct {
		name  string
		fails int // of calls, of which a try that fails makes two: it is put back
		looks int
		then  func(w *watched)
		limit int
		log   []string
	}{
		{"it works the second time", 2, 3, nil, 2, []string{"refused", "tried again", "applied"}},
		{"it works the fourth time", 6, 2 + 1 + 2 + 4, nil, 2, []string{"refused", "tried again", "refused", "tried again", "refused", "tried again", "applied"}},
		{"not before its time", 6, 1 + 1 + 2 + 4, nil, 1, []string{"refused", "tried again", "refused", "tried again", "refused", "tried again"}},
		{"it never works", 1000, 200, nil, 1, []string{
			"refused", "tried again", "refused", "tried again", "refused", "tried again", "refused", "tried again", "refused", "tried again", "refused", "given up",
		}},
		{"the file changes first", 2, 3, func(w *watched) { w.write("guards: { rooms: { bulkhead: { max_concurrent: 3 } } }") }, 3, []string{"applied"}},
		{"the file becomes bad first", 2, 20, func(w *watched) { w.write("guards: 1") }, 1, []string{"refused"}},
		{"somebody else reloads first", 2, 20, func(w *watched) {
			if _, err := w.set.Reload(w.t.Context(), mustParse(w.t, "guards: { rooms: { bulkhead: { max_concurrent: 4 } } }")); err != nil {
				w.t.Error(err)
			}
		}, 4, []string{"applied"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			watching(t, func(w *watched) {
				w.stuck(tt.fails)
				w.write(wanted)
				if tt.then != nil {
					if _, logged := w.after(2); len(logged) != 2 {
						t.Errorf("at first: %q", logged)
					}
					tt.then(w)
				}
				limit, logged := w.after(tt.looks)
				if limit != tt.limit || len(logged) != len(tt.log) {
					t.Fatalf("a limit of %d, and logged\n%s", limit, strings.Join(logged, "\n"))
				}
				for i, want := range tt.log {
					if !strings.Contains(logged[i], want) {
						t.Errorf("%s is not %q", logged[i], want)
					}
				}
			})
		})
	}
}

func TestAFileThatIsReplacedByAnotherOneIsRead(t *testing.T) {
	watching(t, func(w *watched) {
		w.after(5)
		next := w.path + ".next"
		err := errors.Join(os.WriteFile(next, []byte("guards: { rooms: { bulkhead: { max_concurrent: 5 } } }"), 0o600),
			os.Chtimes(next, w.mtime, w.mtime), os.Rename(next, w.path))
		if err != nil {
			t.Fatal(err)
		}
		if limit, _ := w.after(2); limit != 5 {
			t.Errorf("the limit is %d", limit)
		}
	})
}

func TestAnIntervalHasALeast(t *testing.T) {
	for _, interval := range []time.Duration{-1, time.Millisecond} {
		if err := Watch(t.Context(), "x", nil, interval); err == nil || !strings.Contains(err.Error(), "is below 10ms") {
			t.Errorf("%v: %v", interval, err)
		}
	}
}
