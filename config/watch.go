package config

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

const (
	// DefaultInterval is how often Watch looks at the file unless told otherwise.
	DefaultInterval = 2 * time.Second
	// MinInterval is the least.
	MinInterval = 10 * time.Millisecond
)

// Watch reloads set whenever the file at path changes, until ctx ends, and returns ctx's
// error. It looks at the file once per interval, 10 ms or more; 0 means 2 s. A change is
// read when the file has stayed the same for an interval, so that one that is being written
// is not read half.
//
// The file is read with the Options of the one that set was spawned from. One that has
// faults is refused, which is logged once, and all goes on as it was until it changes again.
// One that cannot be read is looked at again once per interval. If nothing is wrong with the
// file but a guard could not be changed or started, such as one whose actor failed just then,
// it is tried again after 1, 2, 4, 8 and 16 intervals, which is logged, unless the file
// changes or somebody else reloads set first.
//
// An interval that is too short is an error at once.
func Watch(ctx context.Context, path string, set *Set, interval time.Duration) error {
	if interval == 0 {
		interval = DefaultInterval
	}
	if interval < MinInterval {
		return fmt.Errorf("config: interval %v is below %v", interval, MinInterval)
	}
	w := &watcher{path: path, set: set, applied: set.File().sum}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			w.look(ctx)
		}
	}
}

// watcher is what Watch remembers between two looks.
type watcher struct {
	path    string
	set     *Set
	info    fs.FileInfo       // of the latest look; nil if there was no file
	fresh   bool              // the file changed at the latest look
	applied [sha256.Size]byte // of the text that was read last
	lost    bool              // it could not be read

	// A file that nothing is wrong with and that could not be applied; nil if there is none.
	pending *File
	before  *File // what set was made of then
	tries   int   // that failed
	rest    int   // looks until the next one
}

// maxAgain is how often a file is tried again.
const maxAgain = 5

func (w *watcher) look(ctx context.Context) {
	info, err := os.Stat(w.path)
	if err != nil {
		w.lose(ctx, err)
		return
	}
	if !same(w.info, info) {
		w.info, w.fresh = info, true
		return
	}
	if !w.fresh {
		w.again(ctx)
		return
	}
	data, err := readFile(w.path)
	if err != nil {
		w.lose(ctx, err)
		return
	}
	w.fresh, w.lost = false, false
	sum := sha256.Sum256(data)
	if sum == w.applied {
		return
	}
	w.applied, w.pending = sum, nil
	r := *w.set.File().reading
	r.name = filepath.Base(w.path)
	f, err := r.parse(data)
	if err != nil {
		w.set.refused(ctx, r.name, err)
		return
	}
	w.pending, w.before, w.tries = f, w.set.File(), 0
	w.apply(ctx)
}

// again tries the pending file when its time has come.
func (w *watcher) again(ctx context.Context) {
	switch {
	case w.pending == nil:
	case w.set.File() != w.before: // somebody wants something else
		w.pending = nil
	case w.rest > 1:
		w.rest--
	default:
		w.apply(ctx)
	}
}

// apply reloads with the pending file, and says whether that is going to be tried again.
func (w *watcher) apply(ctx context.Context) {
	name := slog.String("file", w.pending.reading.name)
	_, passing, err := w.set.reload(ctx, w.pending) // which logs
	switch {
	case err == nil || !passing || ctx.Err() != nil:
		w.pending = nil
	case w.tries == maxAgain:
		w.pending = nil
		w.set.log.LogAttrs(ctx, slog.LevelError, "configuration given up until the file changes", name, slog.Int("tries", w.tries+1))
	default:
		w.rest = 1 << w.tries
		w.tries++
		w.set.log.LogAttrs(ctx, slog.LevelWarn, "configuration is tried again", name, slog.Int("intervals", w.rest))
	}
}

// lose says once that there is nothing to read.
func (w *watcher) lose(ctx context.Context, err error) {
	w.info = nil
	if !w.lost {
		w.set.refused(ctx, filepath.Base(w.path), err)
	}
	w.lost = true
}

// same reports whether a file looks as it did.
func same(a, b fs.FileInfo) bool {
	return a != nil && os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
