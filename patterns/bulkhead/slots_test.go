package bulkhead

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/bulwark-go/bulwark/patterns"
)

func TestWhatNobodyTookIsNotGivenBack(t *testing.T) {
	m := newTestMachine(rooms)
	for name, f := range map[string]func(){
		"released": func() { m.Release(1, patterns.PermitID{ID: 7}) },
		"reported": func() { m.Report(1, patterns.PermitID{ID: 7, Epoch: 9}, patterns.Success, 0) },
		"lent":     func() { m.SettleLease(1, 1, patterns.Tally{Unused: 5}) },
		"twice": func() {
			m.Acquire(1, 1, &patterns.Request{Key: "k"})
			m.Release(1, patterns.PermitID{ID: 1})
			m.Release(1, patterns.PermitID{ID: 1})
		},
	} {
		if f(); m.main.taken != 0 || m.parted != 0 || m.Check() != nil {
			t.Errorf("%s: %d taken, %v", name, m.main.taken, m.Check())
		}
	}
}

func TestFreedNamesTheCompartment(t *testing.T) {
	m := newTestMachine(lobbies)
	if key, all := m.Freed(); !all {
		t.Errorf("%q before anything was", key)
	}
	for id, key := range []string{"a", "b", ""} {
		m.Acquire(1, uint64(id), &patterns.Request{Key: key})
	}
	for id, want := range []string{"a", "b", ""} {
		m.Release(1, patterns.PermitID{ID: uint64(id)})
		if key, all := m.Freed(); key != want || all {
			t.Errorf("%q, %v; want %q", key, all, want)
		}
	}
}

func TestKeysThatAreTooLongAreRefused(t *testing.T) {
	for size, fits := range map[int]bool{0: true, 1: true, MaxKey: true, MaxKey + 1: false, 1 << 20: false} {
		r := patterns.Request{Key: strings.Repeat("k", size)}
		if d := newTestMachine(four).Acquire(0, 1, &r); d.Verdict != patterns.Grant {
			t.Errorf("%d bytes that mean nothing: %+v", size, d)
		}
		m := newTestMachine(lobbies)
		d := m.Acquire(0, 1, &r)
		if (d.Verdict == patterns.Grant) != fits {
			t.Errorf("%d bytes: %+v", size, d)
		}
		_, _, joined := m.Join(0, &r, patterns.Queue{})
		for _, err := range []error{d.Err, joined} {
			if _, long := errors.AsType[*KeyError](err); !fits && (!long || !errors.Is(err, patterns.ErrInvalidRequest) || !errors.Is(err, patterns.ErrRejected)) {
				t.Errorf("%d bytes: %v", size, err)
			}
		}
	}
}

func TestAMillionKeysLeaveNothing(t *testing.T) {
	m := newTestMachine(Config{MaxPartitions: 10})
	n := uint64(1_000_000)
	if raceEnabled { // which makes it slow, and has nothing to find here
		n /= 20
	}
	for i := range n {
		d := m.Acquire(0, i, &patterns.Request{Key: strconv.FormatUint(i, 36)})
		if i%3 != 0 || m.used == 10 {
			m.Release(0, patterns.PermitID{Epoch: d.Epoch, ID: i})
		}
		if m.used > 10 || len(m.partitions) > 10+maxIdle {
			t.Fatalf("%d partitions, %d in use", len(m.partitions), m.used)
		}
	}
	if err := m.Check(); err != nil {
		t.Error(err)
	}
}

// keyed asks for a slot of the key at the instant now.
func keyed(m *Machine, now patterns.Instant, id int, key string) {
	m.Acquire(now, uint64(id), &patterns.Request{Key: key})
}

func TestPartitionsThatComeAgainAreKeptTheLastOnesLongest(t *testing.T) {
	m := newTestMachine(Config{MaxPartitions: 1000})
	for i := range 1000 {
		keyed(m, 1, i, strconv.Itoa(i))
	}
	for i := range 1000 {
		m.Release(1, patterns.PermitID{ID: uint64(i)})
	}
	if m.used != 0 || len(m.partitions) != maxIdle || m.partitions["999"] == nil || m.partitions["936"] == nil || m.Check() != nil {
		t.Fatalf("%d are kept, %v", len(m.partitions), m.Check())
	}
	kept := m.partitions["936"]
	keyed(m, 1, 1, "936")
	keyed(m, 1, 2, "new")
	if m.partitions["936"] != kept || kept.taken != 1 || m.used != 2 || m.Check() != nil {
		t.Errorf("%+v, %v", kept, m.Check())
	}
}

// The partition of a caller that has left is looked at once more, even if it is forgotten
// meanwhile, for a partition that has no slots taken any more or for a new one.
func TestAPartitionThatIsForgottenIsRelieved(t *testing.T) {
	for _, others := range []int{maxIdle - 1, maxIdle + 1} {
		m := newTestMachine(Config{MaxPartitions: 1000, MaxConcurrent: 1, MaxWaiting: 1})
		keyed(m, 1, 1, "left")
		r := patterns.Request{Key: "left"}
		m.Acquire(1, 2, &r)
		_, _, _ = m.Join(2, &r, patterns.Queue{})
		m.Release(3, patterns.PermitID{ID: 1}) // and nobody takes it
		if len(m.watched) != 1 || m.saturated != 1 || m.used != 0 {
			t.Fatalf("%d are watched", len(m.watched))
		}
		for i := range others {
			keyed(m, 4, 10+i, strconv.Itoa(i))
		}
		for i := range others {
			m.Release(5, patterns.PermitID{ID: uint64(10 + i)})
		}
		keyed(m, 6, 99, "new")
		if m.partitions["left"] != nil || m.saturated != 0 || !m.Timeless() || m.Check() != nil {
			t.Errorf("%d saturated, %v", m.saturated, m.Check())
		}
		m.Tick(patterns.Instant(time.Second))
		if got := short(slices.Collect(m.Drain())); got != "S@left,R@left" || m.Wake() != patterns.Never || m.Check() != nil {
			t.Errorf("events %s, %v", got, m.Check())
		}
	}
}

func TestOneThatIsWatchedLaterIsNotLookedAtLater(t *testing.T) {
	m := newTestMachine(Config{MaxPartitions: 2, MaxConcurrent: 1, MaxWaiting: 1})
	for i, key := range []string{"a", "b"} {
		now := patterns.Instant(i) * patterns.Instant(calmAfter) / 2
		keyed(m, now, 1, key)
		r := patterns.Request{Key: key}
		m.Acquire(now, 2, &r)
		_, _, _ = m.Join(now+1, &r, patterns.Queue{})
		m.Release(now+2, patterns.PermitID{ID: 1})
	}
	if at := m.Wake(); at != patterns.Instant(calmAfter)+2 {
		t.Errorf("looks at %v", time.Duration(at))
	}
}

func TestAKeyThatIsPartOfSomethingLargeIsCopied(t *testing.T) {
	m := newTestMachine(rooms)
	large := strings.Repeat("k", 1<<20)
	keyed(m, 1, 1, large[:3])
	for key := range m.partitions {
		if unsafe.StringData(key) == unsafe.StringData(large) {
			t.Error("it keeps the rest alive")
		}
	}
}
