package loadshedder

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/fingerprint"
	"github.com/bulwark-go/bulwark/patterns/internal/machinetest"
)

// crowd has each of many users send so many requests a second through a machine that sheds
// by CPU, and one of them ten times as many. It returns how many each was granted.
func crowd(t *testing.T, fair bool) (greedy int, others []int) {
	h := newHost(t, with(eyes, func(c *Config) { c.Fair = fair }))
	h.M.control.admit = 0.5
	others = make([]int, 20)
	n := 0
	for i := range 30_000 { // 10 ms for each round of 30
		if i%30 == 0 {
			h.Now = h.Now.Add(10 * ms)
			h.M.Tick(h.Now)
			observe(h, read(CPU, 0.8)) // so that the share stays
			h.M.signals[CPU].on = true
		}
		n++
		key, count := "greedy", &greedy
		if user := i % 30; user >= 10 {
			key, count = fmt.Sprint("user ", user), &others[user-10]
		}
		if got, _ := h.Acquire(n, patterns.Request{Key: key}); got == machinetest.Granted {
			*count++
			h.End(n, patterns.Success)
		}
	}
	return greedy, others
}

func jain(shares []int) float64 {
	sum, squares := 0.0, 0.0
	for _, s := range shares {
		sum += float64(s)
		squares += float64(s) * float64(s)
	}
	return sum * sum / (float64(len(shares)) * squares)
}

func TestFairShedsWhoGotMoreThanAnEqualShare(t *testing.T) {
	greedy, others := crowd(t, false)
	if index := jain(append(others, greedy)); index > 0.5 {
		t.Fatalf("it is fair by itself: %v, %d", index, greedy)
	}
	greedy, others = crowd(t, true)
	total := greedy
	for _, n := range others {
		total += n
	}
	if index := jain(append(others, greedy)); index < 0.98 {
		t.Errorf("index %v: %d, others %v", index, greedy, others)
	}
	if total < 13_500 || total > 16_500 {
		t.Errorf("%d of 30000 were admitted, want half", total)
	}
}

// With Fair, a key that fills the queue does not keep the others out of it.
func TestFairKeepsPlacesInTheQueueForOthers(t *testing.T) {
	s := newShop(t, 10*ms, with(counter, func(c *Config) { c.MaxQueue, c.QueueDelay, c.Fair = 20, AnyDelay(), true }))
	modest, refused := 0, 0
	label := 1 << 20
	for i := range 4000 {
		s.until(s.Now.Add(ms))
		for range 3 {
			label++
			_, _ = s.Acquire(label, patterns.Request{Key: "greedy"})
			s.note()
		}
		if i%20 == 0 { // 50 a second, of 400
			label++
			modest++
			if got, _ := s.Acquire(label, patterns.Request{Key: "modest"}); got == machinetest.Rejected {
				refused++
			}
			s.note()
		}
	}
	if refused > 12 {
		t.Errorf("%d of %d modest ones found no room: %v", refused, modest, s.why)
	}
}

func TestKeysOfAnyLengthAndNumber(t *testing.T) {
	s := newScript(t, with(door, func(c *Config) { c.MaxInFlight, c.Fair, c.MaxKeys = maxInFlight, true, 10 }))
	long := strings.Repeat("x", 1<<20)
	for _, key := range []string{"", long, long + "y", "z" + long} {
		s.Callers++
		if got, err := s.Acquire(s.Callers, patterns.Request{Key: key}); got != machinetest.Granted {
			t.Fatal(got, err)
		}
	}
	if n := s.M.users.table.Len(); n != 4 {
		t.Errorf("%d keys, want 4", n)
	}
	for i := range 1000 {
		s.Callers++
		if got, err := s.Acquire(s.Callers, patterns.Request{Key: fmt.Sprint(i)}); got != machinetest.Granted {
			t.Fatal(got, err)
		}
	}
	if n := s.M.users.table.Len(); n != 10 {
		t.Errorf("%d keys, at most 10", n)
	}
	s.Pass(3 * sec) // the old ones make room
	for i := range 100 {
		s.Callers++
		_, _ = s.Acquire(s.Callers, patterns.Request{Key: fmt.Sprint("new", i)})
	}
	if s.M.users.table.Find(fingerprint.Of(s.M.seed, "new0")) == nil {
		t.Error("keys of long ago make no room")
	}
}

func TestLongKeysDifferByTheirEndsAndLength(t *testing.T) {
	long := strings.Repeat("k", 5000)
	seen := map[fingerprint.Key]string{}
	for name, key := range map[string]string{
		"short": "k", "whole": long[:wholeKey], "longer": long[:wholeKey+1], "another begin": "x" + long[1:], "another end": long[1:] + "x", "long": long,
	} {
		k := identify(fingerprint.Seed{1, 2}, key)
		if other, ok := seen[k]; ok {
			t.Errorf("%s is %s", name, other)
		}
		seen[k] = name
	}
}

// The twin has a list of all grants.
func TestUsersAgainstTheTwin(t *testing.T) {
	type grant struct {
		second int64
		key    string
		w      int
	}
	rapid.Check(t, func(t *rapid.T) {
		u, seed := newUsers(100), fingerprint.Seed{3, 4}
		var grants []grant
		now := patterns.Instant(0)
		// Its seconds begin when somebody comes after one is over.
		second, begun := int64(0), patterns.Instant(0)
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.SampledFrom([]int{0, 0, 1, 300, 999, 1000, 2500}).Draw(t, "pause")) * ms)
			if since := now.Sub(begun); since >= sec {
				second++
				if since >= 2*sec {
					second += 2
				}
				begun = now
			}
			key := rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "key")
			grants = append(grants, grant{second, key, 0}) // it asks
			if rapid.Bool().Draw(t, "charge") {
				w := rapid.IntRange(1, 5).Draw(t, "weight")
				u.charge(now, seed, key, w)
				grants = append(grants, grant{second, key, w})
				continue
			}
			mine, all := 0, 0
			this, before := map[string]bool{}, map[string]bool{}
			for _, g := range grants {
				switch second - g.second {
				case 0:
					this[g.key] = true
				case 1:
					before[g.key] = true
				default:
					continue
				}
				all += g.w
				if g.key == key {
					mine += g.w
				}
			}
			want := mine*max(len(this), len(before)) <= all
			if got := u.entitled(now, seed, key); got != want {
				t.Fatalf("%q at %v: %v; got %d of %d for %d and %d keys", key, time.Duration(now), got, mine, all, len(this), len(before))
			}
		}
	})
}
