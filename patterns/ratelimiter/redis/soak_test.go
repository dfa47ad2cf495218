package redislimiter_test

import (
	"bufio"
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/internal/redistest"
	redislimiter "github.com/bulwark-go/bulwark/patterns/ratelimiter/redis"
)

// round is a takeover during a soak.
type round struct {
	name        string
	lost, taken time.Duration // since the start
}

// Eight processes with 64 callers each hammer one key, for BULWARK_SOAK_FOR, 20s by default, while scripts are
// flushed and one replica after the other takes over.
func TestSoakProcessesGetNoMoreWhileReplicasTakeOver(t *testing.T) {
	if os.Getenv("BULWARK_SOAK") == "" {
		t.Skip("it is for make soak-redis: BULWARK_SOAK=1")
	}
	lasts, err := time.ParseDuration(cmp.Or(os.Getenv("BULWARK_SOAK_FOR"), "20s"))
	must(t, err)
	for name, l := range laws() {
		t.Run(name, func(t *testing.T) {
			pair := redistest.StartSentinel(t)
			stop := flushing(t, pair)
			defer stop()
			var rounds []round
			got, lasted := l.hammerProcesses(t, pair, func(began time.Time) {
				for i := 0; time.Since(began) < lasts; i++ {
					how := takeovers()[i%2]
					pause(t.Context(), 2*time.Second)
					r := round{name: how.name, lost: time.Since(began)}
					must(t, how.do(t.Context(), pair))
					r.taken = time.Since(began)
					rounds = append(rounds, r)
					pause(t.Context(), 2*time.Second)
					must(t, how.mend(t.Context(), pair))
				}
			})
			l.judge(t, got, rounds, lasted)
		})
	}
}

// hammerProcesses has processes ask for as long as disturb takes, and returns what was
// admitted, by when it was asked for, and how long they asked.
func (l law) hammerProcesses(t *testing.T, pair *redistest.Sentinel, disturb func(began time.Time)) (all []admission, lasted time.Duration) {
	t.Helper()
	n := instance{Sentinel: pair.Addr(), Prefix: rand.Text(), Rate: l.Rate, Algorithm: l.Algorithm, Policy: redislimiter.FailClosed, Callers: each}
	type process struct {
		in  io.WriteCloser
		out *bufio.Reader
		end func() error
	}
	var processes []process
	for range clients {
		in, out, end := n.start(t)
		t.Cleanup(func() { _ = in.Close() }) // which ends it
		p := process{in, bufio.NewReader(out), end}
		if said, err := p.out.ReadString('\n'); err != nil || strings.TrimSpace(said) != "asked: <nil>" {
			t.Fatalf("a process said %q, %v", said, err)
		}
		processes = append(processes, p)
	}
	began := time.Now()
	var mu sync.Mutex
	var reading sync.WaitGroup
	for _, p := range processes {
		_, err := io.WriteString(p.in, "go\n")
		must(t, err)
		reading.Go(func() {
			admitted, err := readAdmissions(p.out, began)
			if err := errors.Join(err, p.end()); err != nil {
				t.Errorf("a process: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, admitted...)
		})
	}
	disturb(began)
	for _, p := range processes {
		_ = p.in.Close()
	}
	lasted = time.Since(began)
	reading.Wait()
	slices.SortFunc(all, func(a, b admission) int { return cmp.Compare(a.asked, b.asked) })
	return all, lasted
}

func readAdmissions(out io.Reader, began time.Time) (all []admission, err error) {
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var asked, answered int64
		if _, err := fmt.Sscan(lines.Text(), &asked, &answered); err != nil {
			return all, fmt.Errorf("%q: %w", lines.Text(), err)
		}
		all = append(all, admission{time.UnixMicro(asked).Sub(began), time.UnixMicro(answered).Sub(began)})
	}
	return all, nil
}

// judge holds what was admitted against the law: between takeovers nothing is spared, around
// one all that a key may hold, and but for the time without a master hardly less passes.
func (l law) judge(t *testing.T, all []admission, rounds []round, lasted time.Duration) {
	t.Helper()
	var stretches []time.Duration
	from, _ := span(all)
	for _, r := range rounds {
		l.boundsWithin(t, all, from+l.Per, r.lost, 0) // what was lost may pass again until then
		stretches = append(stretches, r.lost-from)
		back := after(all, r.taken)
		over := l.boundsWithin(t, all, r.lost-2*l.Per, back+2*l.Per, l.once())
		t.Logf("%-28s lost %8v  taken over after %6v  somebody passed after %6v  most above the law %d of %d",
			r.name, r.lost.Round(time.Millisecond), (r.taken - r.lost).Round(time.Millisecond), (back - r.taken).Round(time.Millisecond), over, l.once())
		if back > r.taken+time.Second+l.Per {
			t.Errorf("%s: taken over after %v, and somebody passed after %v", r.name, r.taken, back)
		}
		from = back
	}
	stretches = append(stretches, lasted-from)
	least := l.least(stretches...)
	var up time.Duration
	for _, d := range stretches {
		up += d
	}
	t.Logf("%d takeovers in %v: %d admitted, of at least %d in the %v with a master; the law allows %d in all",
		len(rounds), lasted.Round(time.Millisecond), len(all), least, up.Round(time.Millisecond), l.most(lasted))
	if len(all) < least {
		t.Errorf("at least %d pass: got %d", least, len(all))
	}
}

// boundsWithin checks that no part of a stretch has more than is allowed and spared, and
// returns the most that any has above what is allowed.
func (l law) boundsWithin(t *testing.T, all []admission, from, to time.Duration, spared int) (over int) {
	t.Helper()
	at, until := from, to
	for a := from; a < to; a += window / 50 {
		var answers []time.Duration // of those that asked after a
		for _, x := range all[sort.Search(len(all), func(i int) bool { return all[i].asked >= a }):] {
			if x.asked > to {
				break
			}
			answers = append(answers, x.answered)
		}
		slices.Sort(answers)
		for i, b := range answers {
			if more := i + 1 - l.most(b-a); b <= to && more > over {
				over, at, until = more, a, b
			}
		}
	}
	if over > spared {
		t.Errorf("from %v to %v: %d more than the law allows, and %d are spared", at, until, over, spared)
	}
	return over
}
