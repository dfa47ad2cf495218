package store

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const forever = whole - 1 // µs

// books books n of k and fails the test if it need not wait just so long.
func (s *Store) books(t *testing.T, law *Law, n int64, wait time.Duration) Check {
	t.Helper()
	check := Check{Key: "k", Law: law, Kind: Reserve, Weight: n, Within: forever}
	a := s.run(t, check)[0]
	if a.Taken != n || a.RetryAfter != wait {
		t.Fatalf("booked %d: %+v, want to wait %v", n, a, wait)
	}
	check.Kind = Cancel
	check.Booking = &Booking{At: a.At + wait.Microseconds(), Number: a.Number, Since: a.Since}
	return check
}

func (s *Store) reset(t *testing.T, law *Law, want time.Duration) {
	t.Helper()
	if a := s.run(t, Check{Key: "k", Law: law, Kind: Peek, Weight: 1})[0]; a.ResetAfter != want {
		t.Fatalf("whole after %v, want %v: %+v", a.ResetAfter, want, a)
	}
}

func TestWhoBooksLaterIsToldALaterTime(t *testing.T) {
	s, c := newTimed(t, TokenBucket)
	law := s.mustLaw(t, per(10, time.Second, 4))
	s.books(t, law, 4, 0)
	s.books(t, law, 1, 100*time.Millisecond)
	s.books(t, law, 4, 500*time.Millisecond)
	for _, test := range []struct {
		name string
		kind Kind
		wait time.Duration
	}{{"taken", Take, 600 * time.Millisecond}, {"taken up to", TakeUpTo, 600 * time.Millisecond}, {"looked at", Peek, 600 * time.Millisecond}} {
		if a := s.run(t, Check{Key: "k", Law: law, Kind: test.kind, Weight: 1})[0]; a.Taken != 0 || a.RetryAfter != test.wait || a.Remaining != 0 {
			t.Errorf("%s: %+v", test.name, a)
		}
	}
	late := Check{Key: "k", Law: law, Kind: Reserve, Weight: 1, Within: 599_999}
	if a := s.run(t, late)[0]; a.Taken != 0 || a.RetryAfter != 600*time.Millisecond {
		t.Errorf("a µs too late: %+v", a)
	}
	late.Weight = 5
	if a := s.run(t, late)[0]; a.Taken != 0 || a.RetryAfter != -1 {
		t.Errorf("more than there can be: %+v", a)
	}
	c.now += 599_999
	take := Check{Key: "k", Law: law, Weight: 1}
	if a := s.run(t, take)[0]; a.Taken != 0 || a.RetryAfter != time.Microsecond {
		t.Errorf("a µs early: %+v", a)
	}
	c.now++
	if a := s.run(t, take)[0]; a.Taken != 1 {
		t.Errorf("in time: %+v", a)
	}
}

// A bucket that has filled up before a booking's time has room that costs the booking nothing.
func TestWhatIsTakenBeforeABookingIsCountedOneByOne(t *testing.T) {
	for _, tt := range []struct {
		name   string
		kind   Kind
		weight int64
		want   []int64 // of one call
	}{
		{"one each", Take, 1, []int64{1, 1, 1, 0}},
		{"two each", Take, 2, []int64{2, 0, 0}},
		{"up to one each", TakeUpTo, 1, []int64{1, 1, 1, 0}},
		{"up to two each", TakeUpTo, 2, []int64{2, 1, 0}},
		{"up to more than there is", TakeUpTo, 5, []int64{2, 1, 0}},
		{"nothing", Take, 0, []int64{0, 0}},
		{"up to nothing", TakeUpTo, 0, []int64{0, 0}},
	} {
		for _, tiers := range [][]Tier{{per(10, time.Second, 4)}, {per(10, time.Second, 4), per(1000, time.Hour, 100)}} {
			s, _ := newTimed(t, TokenBucket)
			law := s.mustLaw(t, tiers...)
			s.books(t, law, 4, 0)
			s.books(t, law, 1, 100*time.Millisecond)
			s.run(t, Check{Key: "k", Law: law, Kind: Return, Weight: 4})
			checks := make([]Check, len(tt.want))
			for i := range checks {
				checks[i] = Check{Key: "k", Law: law, Kind: tt.kind, Weight: tt.weight}
			}
			var got []int64
			for _, a := range s.run(t, checks...) {
				got = append(got, a.Taken)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%s, %d tiers: took %d, want %d", tt.name, len(tiers), got, tt.want)
			}
		}
	}
}

func TestABookingThatIsCancelledMightNeverHaveBeen(t *testing.T) {
	s, c := newTimed(t, TokenBucket)
	law := s.mustLaw(t, per(10, time.Second, 4), per(100, time.Hour, 8))
	s.books(t, law, 4, 0)
	s.reset(t, law, 400*time.Millisecond)
	first := s.books(t, law, 4, 400*time.Millisecond)
	second := s.books(t, law, 2, 71600*time.Millisecond+400*time.Millisecond)
	for _, cancel := range []Check{first, second} {
		if a := s.run(t, cancel)[0]; a.Taken != cancel.Weight {
			t.Errorf("%+v", a)
		}
		if a := s.run(t, cancel)[0]; a.Taken != 0 {
			t.Errorf("once more: %+v", a)
		}
	}
	s.reset(t, law, 400*time.Millisecond)
	if a := s.run(t, Check{Key: "k", Law: law, Kind: Peek, Weight: 4})[0]; a.RetryAfter != 400*time.Millisecond {
		t.Errorf("of the shorter tier nothing is booked any more: %+v", a)
	}
	if size := servers.Client(t).StrLen(t.Context(), s.Name("k")).Val(); size != 84 {
		t.Errorf("there are %d bytes of what is no booking", size)
	}
	third := s.books(t, law, 4, 400*time.Millisecond)
	c.now += 400_000 + 90_000
	if a := s.run(t, third)[0]; a.Taken != 4 {
		t.Errorf("after its time: %+v", a)
	}
	c.now += 1_000_000_000
	if a := s.run(t, third)[0]; a.Taken != 0 {
		t.Errorf("long after its time: %+v", a)
	}
}

// What others booked stays at its time, and of what is given back no more passes than there is.
func TestWhatIsCancelledBetweenOthersIsAGap(t *testing.T) {
	s, c := newTimed(t, TokenBucket)
	law := s.mustLaw(t, per(10, time.Second, 1))
	s.books(t, law, 1, 0)
	first := s.books(t, law, 1, 100*time.Millisecond)
	s.books(t, law, 1, 200*time.Millisecond)
	s.run(t, first)
	s.books(t, law, 1, 300*time.Millisecond) // who is at 200 ms still needs all there is then
	c.now += 300_000
	if a := s.run(t, Check{Key: "k", Law: law, Weight: 1})[0]; a.Taken != 0 || a.RetryAfter != 100*time.Millisecond {
		t.Errorf("%+v", a)
	}
}

func TestAClockThatIsPutBackTakesWhatIsBookedWithIt(t *testing.T) {
	s, c := newTimed(t, TokenBucket)
	law := s.mustLaw(t, per(10, time.Second, 4))
	s.books(t, law, 4, 0)
	s.books(t, law, 4, 400*time.Millisecond)
	last := s.books(t, law, 1, 500*time.Millisecond)
	c.now -= (100 * 24 * time.Hour).Microseconds()
	s.reset(t, law, 900*time.Millisecond)
	s.books(t, law, 1, 600*time.Millisecond)
	s.reset(t, law, time.Second)
	if a := s.run(t, last)[0]; a.Taken != 1 {
		t.Errorf("%+v", a)
	}
	s.reset(t, law, 900*time.Millisecond)
	c.now += 600_000
	s.reset(t, law, 300*time.Millisecond)
}

// A clock that was put back is told from a booking by when that was written, and only then.
func TestAFullBucketOfTheFutureIsNoBooking(t *testing.T) {
	s, c := newTimed(t, TokenBucket)
	law := s.mustLaw(t, per(10, time.Second, 4))
	s.run(t, Check{Key: "k", Law: law, Weight: 4})
	c.now -= 1_000_000
	s.books(t, law, 1, 100*time.Millisecond)
	s.reset(t, law, 500*time.Millisecond)
}

func TestWhatIsOwedLivesOnWhenTheRateChanges(t *testing.T) {
	s, c := newTimed(t, TokenBucket)
	slow, fast := s.mustLaw(t, per(10, time.Second, 4)), s.mustLaw(t, per(100, time.Second, 4))
	s.books(t, slow, 4, 0)
	booked := s.books(t, slow, 4, 400*time.Millisecond)
	take := Check{Key: "k", Law: fast, Weight: 1}
	if a := s.run(t, take)[0]; a.Taken != 0 || a.RetryAfter != 50*time.Millisecond {
		t.Errorf("of 100 a second: %+v", a)
	}
	if a := s.run(t, Check{Key: "k", Law: slow, Weight: 1})[0]; a.Taken != 0 || a.RetryAfter != 500*time.Millisecond {
		t.Errorf("back to 10 a second: %+v", a)
	}
	if a := s.run(t, booked)[0]; a.Taken != 0 {
		t.Errorf("a booking of before: %+v", a)
	}
	c.now += 500_000
	if a := s.run(t, Check{Key: "k", Law: slow, Weight: 1})[0]; a.Taken != 1 {
		t.Errorf("%+v", a)
	}
}

func TestAKeyHasSoManyBookingsAndNoMore(t *testing.T) {
	s, c := newTimed(t, TokenBucket)
	law := s.mustLaw(t, per(10, time.Second, 1))
	book := Check{Key: "k", Law: law, Kind: Reserve, Weight: 1, Within: forever}
	for i, a := range s.run(t, slices.Repeat([]Check{book}, MaxBooked+3)...) {
		if want := int64(1); i > MaxBooked && a.Taken != 0 || i <= MaxBooked && a.Taken != want {
			t.Fatalf("booking %d: %+v", i, a)
		}
	}
	c.now += 100_000
	if a := s.run(t, book)[0]; a.Taken != 1 {
		t.Errorf("when the first has its time behind it: %+v", a)
	}
	if a := s.run(t, book)[0]; a.Taken != 0 {
		t.Errorf("and one more: %+v", a)
	}
}

// What is longer than numbers of a script can tell is not booked.
func TestWhatCannotBeCountedIsNotBooked(t *testing.T) {
	s, _ := newTimed(t, TokenBucket)
	law := s.mustLaw(t, per(1, maxPeriod, 100))
	s.run(t, Check{Key: "k", Law: law, Weight: 100})
	booked := 0
	for ; booked < 100; booked++ {
		a := s.run(t, Check{Key: "k", Law: law, Kind: Reserve, Weight: 1, Within: forever})[0]
		if a.Taken == 0 {
			break
		}
	}
	if want := int(whole/2/maxPeriod.Microseconds()) - 100; booked != want {
		t.Errorf("%d years are booked, want %d", booked, want)
	}
}

// What is owed of one rate may be more time of another than numbers of a script can tell.
func TestADebtThatCannotBeCountedIsAsLongAsCanBe(t *testing.T) {
	s, _ := newTimed(t, TokenBucket)
	for _, slow := range []*Law{s.mustLaw(t, per(1, maxPeriod, 1)), s.mustLaw(t, per(3, maxPeriod-time.Microsecond, 1))} {
		fast := s.mustLaw(t, per(1_000_000, time.Second, 1_000_000))
		for range 20 {
			s.run(t, Check{Key: "k", Law: fast, Kind: Reserve, Weight: 1_000_000, Within: forever})
		}
		for range 2 {
			if a := s.run(t, Check{Key: "k", Law: slow, Weight: 1})[0]; a.Taken != 0 || a.RetryAfter < 60*maxPeriod {
				t.Fatalf("%+v", a)
			}
		}
		if a := s.run(t, Check{Key: "k", Law: slow, Kind: Reserve, Weight: 1, Within: forever})[0]; a.Taken != 0 {
			t.Errorf("%+v", a)
		}
		s, _ = newTimed(t, TokenBucket)
	}
}

func TestABookingIsKeptUntilItIsPaid(t *testing.T) {
	client := servers.Client(t)
	s := newStore(t, client, TokenBucket)
	law := s.mustLaw(t, per(1, time.Minute, 1))
	for range 20 {
		a := s.run(t, Check{Key: "k", Law: law, Kind: Reserve, Weight: 1, Within: forever})[0]
		if ttl := client.PTTL(t.Context(), s.Name("k")).Val(); ttl < a.ResetAfter || ttl > 2*a.ResetAfter+3*time.Second {
			t.Fatalf("kept for %v, and owed for %v", ttl, a.ResetAfter)
		}
	}
}

func TestALogBooksNothing(t *testing.T) {
	s, _ := newTimed(t, SlidingLog)
	law := s.mustLaw(t, per(1, time.Minute, 1))
	answers := make([]Answer, 2)
	checks := []Check{{Key: "k", Law: law, Kind: Reserve, Weight: 1}, {Key: "k", Law: law, Kind: Cancel, Weight: 1, Booking: &Booking{}}}
	if err := s.Run(t.Context(), checks, answers); err != nil || answers[0].Err == nil || answers[1].Err == nil {
		t.Errorf("%v, %+v", err, answers)
	}
}

func TestWhatLooksLikeABookingSpoilsNothing(t *testing.T) {
	client := servers.Client(t)
	s, c := newTimed(t, TokenBucket)
	law := s.mustLaw(t, per(10, time.Second, 4))
	s.books(t, law, 4, 0)
	s.books(t, law, 4, 400*time.Millisecond)
	good := client.Get(t.Context(), s.Name("k")).Val()
	c.now += 1000
	for i := range len(good) {
		for _, with := range []string{"\x00", "\xff", "\x7f"} {
			for _, text := range []string{good[:i] + with + good[i+1:], good[:i] + with, good[:i] + with + good[i:]} {
				must(t, client.Set(t.Context(), s.Name("k"), text, redis.KeepTTL).Err())
				fresh := rand.Text()
				checks := []Check{
					{Key: "a", Law: law, Kind: Peek, Weight: 1},
					{Key: "k", Law: law, Weight: 1},
					{Key: "k", Law: law, Kind: Reserve, Weight: 1, Within: forever},
					{Key: "k", Law: law, Kind: Cancel, Weight: 1, Booking: &Booking{At: c.now + 7, Number: 7, Since: c.now + 7}},
					{Key: "k", Law: law, Kind: Return, Weight: 1, Since: 1},
					{Key: fresh, Law: law, Kind: Reserve, Weight: 1},
					{Key: fresh, Law: law, Weight: 1},
				}
				answers := make([]Answer, len(checks))
				_ = s.Run(t.Context(), checks, answers)
				if answers[0].Remaining != 4 || answers[5].Taken != 1 || answers[6].Taken != 1 {
					t.Fatalf("byte %d as %q: other keys: %+v", i, with, answers)
				}
				for j, a := range answers {
					if a.Err != nil && strings.Contains(a.Err.Error(), "user_script") {
						t.Fatalf("byte %d as %q: check %d: %v", i, with, j, a.Err)
					}
				}
			}
		}
	}
}

// owe makes what is booked of a key what is owed.
func (s *Store) owe(t *testing.T, key string) {
	t.Helper()
	v, err := s.client.Get(t.Context(), s.Name(key)).Result()
	if err == nil && len(v)%2 == 1 {
		v = v[:44] + v[4:20] + v[60:76] + v[len(v)-1:]
		must(t, s.client.Set(t.Context(), s.Name(key), v, redis.KeepTTL).Err())
	}
}

// near allows for what vectors round up when a rate changes, and scripts only to a part of a µs.
func near(got, want time.Duration) bool {
	return got == want || got >= 0 && got <= want && got > want-2*time.Microsecond
}

// put writes where a key is full, which may be owed.
func (s *Store) put(t *testing.T, key string, law *Law, now, full int64) {
	t.Helper()
	c, p := law.tiers[0].reduced()
	v := binary.LittleEndian.AppendUint32(nil, math.MaxUint32)
	for _, x := range []uint64{uint64(full), 0, c, p, uint64(law.tiers[0].Burst), uint64(full), 0, uint64(now), 0} {
		v = binary.LittleEndian.AppendUint64(v, math.Float64bits(float64(x)))
	}
	must(t, s.client.Set(t.Context(), s.Name(key), append(v, 1), 0).Err())
}

// What the vectors say in ns is µs here, as a script counts no less.
func TestVectorsOfReservations(t *testing.T) {
	for _, file := range []string{"gcra_ops_01", "gcra_ops_02", "gcra_ops_03"} {
		t.Run(file, func(t *testing.T) {
			text, err := os.ReadFile("../../../../internal/rate/testdata/" + file + ".json")
			must(t, err)
			type rates struct {
				Rate, Burst, N int64
				Period         int64 `json:"period_ns"`
				MaxWait        int64 `json:"max_wait_ns"`
			}
			var v struct {
				Params rates
				Steps  []struct {
					T      int64 `json:"t_ns"`
					Op     string
					Args   rates
					Expect struct {
						Allowed, OK      bool
						Taken, Remaining int64
						RetryAfter       int64 `json:"retry_after_ns"`
						Wait             int64 `json:"wait_ns"`
						ResetAfter       int64 `json:"reset_after_ns"`
					}
				}
			}
			must(t, json.Unmarshal(text, &v))
			s, c := newTimed(t, TokenBucket)
			law := func(r rates) *Law { return s.mustLaw(t, Tier{r.Rate, micros(r.Period), r.Burst}) }
			now := law(v.Params)
			for i, step := range v.Steps {
				c.now = max(c.now, step.T)
				if i == 0 {
					c.now = step.T
				}
				check, e := Check{Key: "k", Law: now, Weight: step.Args.N}, step.Expect
				wait, taken := micros(e.RetryAfter), int64(0)
				switch step.Op {
				case "allow":
					if e.Allowed {
						taken = step.Args.N
					}
				case "peek":
					check.Kind = Peek
				case "take_up_to":
					check.Kind, taken = TakeUpTo, e.Taken
				case "refund":
					s.owe(t, "k") // or what was promised to others would stay promised
					check.Kind = Return
				case "reserve":
					check.Kind, check.Within, wait = Reserve, step.Args.MaxWait, micros(e.Wait)
					if e.OK {
						taken = step.Args.N
					}
				case "set_limit":
					now = law(step.Args)
					check.Law, check.Kind, check.Weight = now, Take, now.tiers[0].Burst+1 // so that it is kept
					wait = -1
				default:
					t.Fatalf("unknown op %q", step.Op)
				}
				if wait < 0 {
					wait = -1
				}
				a := s.run(t, check)[0]
				if step.Op == "reserve" && !e.OK {
					a.RetryAfter = wait // the vectors have none
				}
				if step.Op == "set_limit" {
					s.put(t, "k", now, c.now, c.now+e.ResetAfter)
					a.Remaining = min(a.Remaining, e.Remaining)
				}
				if a.Taken != taken || !near(a.RetryAfter, wait) || a.Remaining != e.Remaining || !near(a.ResetAfter, micros(e.ResetAfter)) {
					t.Fatalf("step %d, %s %+v at %d:\ngot  %+v\nwant %+v", i, step.Op, step.Args, c.now, a, e)
				}
			}
		})
	}
}
