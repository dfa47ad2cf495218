package outlier

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestSuccessRatesFollowTheVector(t *testing.T) {
	text, err := os.ReadFile("testdata/outlier_success_rate.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Steps []struct {
			Args struct {
				Hosts []struct{ Requests, Successes int }
			}
			Expect struct {
				Threshold *float64
				Outliers  []int
			}
		}
	}
	if err := json.Unmarshal(text, &v); err != nil || len(v.Steps) != 26 {
		t.Fatalf("%d steps, %v", len(v.Steps), err)
	}
	for i, s := range v.Steps {
		m := New(len(s.Args.Hosts), Config{Consecutive: math.MaxInt, MaxEjected: 1})
		for j, h := range s.Args.Hosts {
			m.hosts[j].requests, m.hosts[j].good = h.Requests, h.Successes
		}
		limit, ok := m.threshold()
		if want := s.Expect.Threshold; ok != (want != nil) || ok && math.Abs(limit-*want) > 1e-9*math.Abs(*want) {
			t.Errorf("step %d: threshold %v, %v", i, limit, ok)
		}
		m.compare()
		outliers := []int{}
		for j := range m.hosts {
			if m.hosts[j].ejected {
				outliers = append(outliers, j)
			}
		}
		if !slices.Equal(outliers, s.Expect.Outliers) {
			t.Errorf("step %d: outliers %v, want %v", i, outliers, s.Expect.Outliers)
		}
	}
}

// requests sends n to host, all at time now.
func requests(m *Machine, now time.Duration, host, n int, o Outcome) {
	for range n {
		t := m.Pick(now, func(i int) bool { return i != host })
		if t.Host != host {
			panic("it is ejected")
		}
		m.Report(now, t, o)
	}
}

func ejected(m *Machine, now time.Duration) (out []int) {
	for i := range m.hosts {
		if m.Of(now, i).Ejected {
			out = append(out, i)
		}
	}
	return out
}

func wantEjected(t *testing.T, m *Machine, now time.Duration, want ...int) {
	t.Helper()
	if got := ejected(m, now); !slices.Equal(got, want) {
		t.Errorf("at %v: %v are ejected, want %v", now, got, want)
	}
}

const s = time.Second

func TestSoManyFailuresInARowEjectAHostForAWhile(t *testing.T) {
	m := New(3, Config{Consecutive: 3})
	requests(m, 0, 1, 2, Bad)
	requests(m, 0, 1, 1, Good)
	requests(m, 0, 1, 2, Bad)
	wantEjected(t, m, 0)
	requests(m, s, 1, 1, Bad)
	wantEjected(t, m, s, 1)
	if left := m.Of(11*s, 1).Remaining; left != 20*s {
		t.Errorf("%v are left", left)
	}
	wantEjected(t, m, 31*s-1, 1)
	wantEjected(t, m, 31*s)
	requests(m, 31*s, 1, 2, Bad) // it begins anew
	wantEjected(t, m, 31*s)
}

func TestEachEjectionIsLongerThanTheOneBefore(t *testing.T) {
	m := New(2, Config{Consecutive: 1, EjectFor: 10 * s, MaxEjectFor: 35 * s, Interval: time.Hour})
	now := time.Duration(0)
	for _, want := range []time.Duration{10 * s, 20 * s, 30 * s, 35 * s, 35 * s} {
		requests(m, now, 0, 1, Bad)
		if got := m.Of(now, 0).Remaining; got != want {
			t.Errorf("ejected for %v, want %v", got, want)
		}
		now += want
	}
	m.tick(now + 3*time.Hour) // sweeps that find it well
	requests(m, now+3*time.Hour, 0, 1, Bad)
	if got := m.Of(now+3*time.Hour, 0).Remaining; got != 20*s {
		t.Errorf("ejected for %v after some good hours", got)
	}
}

func TestNoMoreThanAShareIsEjectedAndNeverTheLast(t *testing.T) {
	for _, tt := range []struct {
		hosts int
		share float64
		want  int
	}{{1, 1, 0}, {2, 1, 1}, {2, 0.1, 1}, {3, 0.5, 1}, {4, 0.5, 2}, {10, 0.1, 1}, {10, 1, 9}} {
		m := New(tt.hosts, Config{Consecutive: 1, MaxEjected: tt.share})
		for range 100 {
			m.Report(0, m.Pick(0, nil), Bad)
		}
		if got := len(ejected(m, 0)); got != tt.want {
			t.Errorf("%d of %d, want %d", got, tt.hosts, tt.want)
		}
	}
}

func TestLateFailuresDoNotCountOnceAHostIsBack(t *testing.T) {
	m := New(2, Config{Consecutive: 2})
	var late []Ticket
	for range 4 {
		late = append(late, m.Pick(0, func(i int) bool { return i != 0 }))
	}
	m.Report(0, late[0], Bad)
	m.Report(0, late[1], Bad)
	wantEjected(t, m, 0, 0)
	m.Report(31*s, late[2], Bad)
	m.Report(31*s, late[3], Bad)
	wantEjected(t, m, 31*s)
}

func TestWhoLeftSaysNothing(t *testing.T) {
	m := New(2, Config{Consecutive: 2})
	requests(m, 0, 0, 1, Bad)
	requests(m, 0, 0, 9, Unknown)
	wantEjected(t, m, 0)
	if got := m.Of(0, 0); got.Requests != 1 || got.InFlight != 0 {
		t.Errorf("%+v", got)
	}
	requests(m, 0, 0, 1, Bad)
	wantEjected(t, m, 0, 0)
}

func TestTheLeastBusyIsTakenAndEqualsInTurn(t *testing.T) {
	m := New(3, Config{})
	var got []int
	for range 6 {
		got = append(got, m.Pick(0, nil).Host)
	}
	m.Report(0, Ticket{Host: 2}, Good)
	got = append(got, m.Pick(0, nil).Host, m.Pick(0, func(i int) bool { return i < 2 }).Host, m.Pick(0, func(int) bool { return true }).Host)
	if want := []int{0, 1, 2, 0, 1, 2, 2, 2, 0}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestAConfigNamesAllItsFaults(t *testing.T) {
	if f := (Config{}).Faults("nethttp", "Outliers"); len(f) > 0 {
		t.Error(f)
	}
	err := errors.Join(Config{
		Consecutive: -1, EjectFor: -1, MaxEjectFor: -2, MaxEjected: math.NaN(), Interval: 25 * time.Hour, Deviations: math.Inf(1), MinHosts: 1, MinRequests: -1,
	}.Faults("nethttp", "Outliers")...)
	want := `nethttp: Outliers.Consecutive -1: must be 1 or more
nethttp: Outliers.EjectFor -1ns: must be from 1ms to 24h
nethttp: Outliers.MaxEjectFor -2ns: must be from 1ms to 24h
nethttp: Outliers.MaxEjectFor -2ns: must not be below EjectFor, -1ns
nethttp: Outliers.MaxEjected NaN: must be in (0, 1]
nethttp: Outliers.Interval 25h0m0s: must be from 1ms to 24h
nethttp: Outliers.Deviations +Inf: must be above 0 and finite
nethttp: Outliers.MinHosts 1: must be 2 or more
nethttp: Outliers.MinRequests -1: must be 1 or more`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v", err)
	}
}

// twin keeps every report, and finds out what they mean whenever it is asked.
type twin struct {
	cfg     Config
	events  [][]event // by host, since it came back, or since the latest sweep where that matters
	out     []time.Duration
	times   []int
	epochs  []uint64
	back    []bool
	flights []int
	sweeps  int
}

type event struct {
	sweep int
	good  bool
}

func newTwin(n int, cfg Config) *twin {
	return &twin{cfg: cfg.WithDefaults(), events: make([][]event, n), out: make([]time.Duration, n), times: make([]int, n), epochs: make([]uint64, n), back: make([]bool, n), flights: make([]int, n)}
}

// advance goes on to now.
func (w *twin) advance(now time.Duration) {
	for i := range w.out {
		if w.out[i] > 0 && w.out[i] <= now {
			w.out[i], w.events[i] = 0, nil
		}
	}
	due := int(now / w.cfg.Interval)
	if due == w.sweeps {
		return
	}
	rates := map[int]float64{}
	for i, all := range w.events {
		n, good := 0, 0
		for _, e := range all {
			if e.sweep == w.sweeps {
				if n++; e.good {
					good++
				}
			}
		}
		if n >= w.cfg.MinRequests && w.out[i] == 0 {
			rates[i] = 100 * float64(good) / float64(n)
		}
	}
	for i := range w.times {
		if w.out[i] == 0 {
			w.times[i] = max(0, w.times[i]-(due-w.sweeps))
		}
	}
	w.sweeps = due
	if len(rates) < w.cfg.MinHosts {
		return
	}
	mean, variance := 0.0, 0.0
	for _, r := range rates {
		mean += r / float64(len(rates))
	}
	for _, r := range rates {
		variance += (r - mean) * (r - mean) / float64(len(rates))
	}
	for i := range w.out {
		r, ok := rates[i]
		if ok && r < mean-w.cfg.Deviations*math.Sqrt(variance)-1e-9 {
			w.eject(now, i)
		}
	}
}

func (w *twin) eject(now time.Duration, i int) {
	n := 1
	for _, at := range w.out {
		if at > 0 {
			n++
		}
	}
	if n == len(w.out) || n > 1 && float64(n) > w.cfg.MaxEjected*float64(len(w.out)) {
		return
	}
	if time.Duration(w.times[i])*w.cfg.EjectFor < w.cfg.MaxEjectFor {
		w.times[i]++
	}
	w.epochs[i]++
	w.out[i] = now + min(time.Duration(w.times[i])*w.cfg.EjectFor, w.cfg.MaxEjectFor)
}

func (w *twin) report(now time.Duration, i int, epoch uint64, good bool) {
	if w.out[i] > 0 || epoch != w.epochs[i] {
		return
	}
	w.events[i] = append(w.events[i], event{w.sweeps, good})
	row := 0
	for _, e := range slices.Backward(w.events[i]) {
		if e.good {
			break
		}
		row++
	}
	if row >= w.cfg.Consecutive {
		w.eject(now, i)
	}
}

func TestTheMachineAgreesWithItsTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 7).Draw(t, "hosts")
		cfg := Config{
			Consecutive: rapid.IntRange(1, 4).Draw(t, "consecutive"), EjectFor: 3 * s, MaxEjectFor: 8 * s, Interval: 5 * s,
			MaxEjected: float64(rapid.IntRange(1, 8).Draw(t, "share")) / 8, Deviations: 0.7, MinHosts: 2, MinRequests: 2,
		}
		m, w := New(n, cfg), newTwin(n, cfg)
		now := time.Duration(0)
		var out []Ticket
		for range rapid.IntRange(1, 150).Draw(t, "steps") {
			now += time.Duration(rapid.SampledFrom([]int{0, 0, 0, 1, 500, 7000, 31000}).Draw(t, "ms")) * time.Millisecond
			w.advance(now)
			if len(out) > 0 && rapid.Bool().Draw(t, "report") {
				at := rapid.IntRange(0, len(out)-1).Draw(t, "which")
				ticket := out[at]
				out = slices.Delete(out, at, at+1)
				o := rapid.SampledFrom([]Outcome{Good, Bad, Bad, Unknown}).Draw(t, "how")
				m.Report(now, ticket, o)
				w.flights[ticket.Host]--
				if o != Unknown {
					w.report(now, ticket.Host, ticket.epoch, o == Good)
				}
			} else {
				avoided := rapid.IntRange(-1, n-1).Draw(t, "avoid")
				ticket := m.Pick(now, func(i int) bool { return i == avoided })
				out = append(out, ticket)
				least, others := math.MaxInt, false
				for i := range n {
					if w.out[i] == 0 && i != avoided {
						least, others = min(least, w.flights[i]), true
					}
				}
				switch h := ticket.Host; {
				case w.out[h] > 0:
					t.Fatalf("at %v a request went to %d, which is ejected", now, h)
				case others && (h == avoided || w.flights[h] != least):
					t.Fatalf("at %v a request went to %d, which has %d under way", now, h, w.flights[h])
				}
				w.flights[ticket.Host]++
			}
			for i := range n {
				got := m.Of(now, i)
				if got.Ejected != (w.out[i] > 0) || got.Ejected && got.Remaining != w.out[i]-now || got.InFlight != w.flights[i] || got.Ejections != w.epochs[i] {
					t.Fatalf("at %v host %d is %+v; want out until %v, %d times, %d under way", now, i, got, w.out[i], w.epochs[i], w.flights[i])
				}
			}
		}
	})
}

func TestAClockThatGoesBackStandsStill(t *testing.T) {
	m := New(2, Config{Consecutive: 1})
	requests(m, 100*s, 0, 1, Bad)
	wantEjected(t, m, 0, 0)
	if left := m.Of(50*s, 0).Remaining; left != 30*s {
		t.Error(left)
	}
}
