package loadshedder

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/machinetest"
)

// server is a machine whose processors are busy with what is admitted, and with something
// else. It is measured as the sampling actor does: each mean of a quarter of a second.
type server struct {
	*host
	t      *testing.T
	cost   time.Duration // of a request, of one processor second per second
	other  float64       // what else the processor does
	labels int
	busy   time.Duration
}

// second offers so many requests in a second, a quarter of which are critical if any are,
// and returns how many were admitted, and the mean use of the processor.
func (s *server) second(rate int, critical bool) (admitted int, used float64) {
	const parts = 4
	for part := range parts {
		s.busy = 0
		for i := range rate / parts {
			s.Now = s.Now.Add(time.Second / time.Duration(rate))
			if s.M.Wake() <= s.Now {
				s.Pass(1)
			}
			r := patterns.Request{}
			if critical && (i+part)%4 == 0 {
				r.Priority = patterns.Critical
			}
			s.labels++
			got, err := s.Acquire(s.labels, r)
			if got == machinetest.Granted {
				s.End(s.labels, patterns.Success)
				s.busy += s.cost
				admitted++
			} else if r.Priority == patterns.Critical {
				s.t.Fatalf("a critical one is shed: %v", err)
			}
		}
		load := s.busy.Seconds()*parts + s.other
		used += load / parts
		observe(s.host, read(CPU, min(load, 1)))
	}
	return admitted, used
}

func newServer(t *testing.T, c Config) *server {
	c.Memory, c.MaxQueue = Off, NoQueue
	return &server{host: newHost(t, c), t: t, cost: 10 * time.Millisecond}
}

func TestShedsAsMuchAsKeepsTheProcessorAtItsThreshold(t *testing.T) {
	for _, load := range []int{120, 200, 500} {
		s := newServer(t, Config{})
		for range 30 { // long enough to get there
			s.second(load, true)
		}
		least, most, sum := math.Inf(1), 0.0, 0.0
		for range 60 {
			_, used := s.second(load, true)
			least, most, sum = min(least, used), max(most, used), sum+used
		}
		// Critical ones are a quarter: of 500 a second they alone are too much.
		want := max(0.85, float64(load)/4/100)
		if mean := sum / 60; math.Abs(mean-want) > 0.05 || least < want-0.15 || most > want+0.15 {
			t.Errorf("%d/s: uses %.2f, from %.2f to %.2f; want %.2f", load, mean, least, most, want)
		}
	}
}

func TestItTakesSecondsToBringAnOverloadDownAndToComeBack(t *testing.T) {
	s := newServer(t, Config{})
	for range 10 {
		if n, _ := s.second(48, false); n != 48 {
			t.Fatalf("%d of 48 in a calm", n)
		}
	}
	down := 0
	for ; ; down++ {
		if _, used := s.second(200, false); used < 0.95 {
			break
		}
	}
	if down > 6 {
		t.Errorf("overloaded for %d s", down)
	}
	for range 60 {
		s.second(200, false)
	}
	up := 0
	for ; ; up++ {
		if n, _ := s.second(48, false); n >= 48 {
			break
		}
	}
	if up > 5 {
		t.Errorf("sheds for %d s after the overload", up)
	}
	for range 10 {
		s.second(48, false)
	}
	snap := s.M.Snapshot(s.Now, patterns.Counts{})
	if snap.Shedding || snap.Admitted != 1 || snap.Strained || !s.M.Timeless() {
		t.Errorf("%+v", snap)
	}
}

// Another process that takes the whole processor has all be shed that can be, but a few.
func TestTheFloorLetsATrickleThroughWhateverIsMeasured(t *testing.T) {
	for _, tt := range []struct {
		floor float64
		want  int // in 20 s
	}{{0, 20}, {5, 100}, {Off, 0}} {
		s := newServer(t, Config{Floor: tt.floor})
		s.other = 1
		for range 60 {
			s.second(40, false)
		}
		n := 0
		for range 20 {
			got, _ := s.second(40, false)
			n += got
		}
		// leastAdmit of 800 is 8.
		if n < tt.want+4 || n > tt.want+10 {
			t.Errorf("floor %v: %d admitted, want %d and 1 in 100", tt.floor, n, tt.want)
		}
	}
}

func TestWhatIsMeasuredIsChecked(t *testing.T) {
	h := newHost(t, Config{CPU: 0.5, GC: 0.2, SchedulingLatency: 10 * ms, StaleAfter: sec})
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), -0.1} {
		observe(h, read(CPU, v))
	}
	observe(h, Observation{Readings: []Reading{{Signal: 99, Value: 1}, {Signal: GC, Err: errors.New("no")}}})
	observe(h, Observation{Age: -sec, Readings: []Reading{{Signal: SchedulingLatency, Value: 0.002}}})
	observe(h, Observation{Age: sec, Readings: []Reading{{Signal: Memory, Value: 0.9}}}) // too old
	s := h.M.Snapshot(h.Now, patterns.Counts{})
	want := [signals]SignalState{
		CPU:               {Threshold: 0.5, Failed: 4},
		Memory:            {Threshold: 0.85},
		SchedulingLatency: {Threshold: 0.01, Known: true, Value: 0.002, Raw: 0.002},
		GC:                {Threshold: 0.2, Failed: 1},
	}
	for i, got := range s.Signals {
		if got.Age = 0; got != want[i] {
			t.Errorf("%v: %+v, want %+v", Signal(i), got, want[i])
		}
	}
	h.Pass(sec)
	for _, e := range h.Drained() {
		lost, ok := e.(SignalLost)
		if !ok {
			t.Fatalf("%+v", e)
		}
		wantErr := map[Signal]string{CPU: errNoNumber.Error(), Memory: errNoReading.Error(), SchedulingLatency: errNoReading.Error(), GC: "no"}[lost.Signal]
		if lost.Err.Error() != wantErr {
			t.Errorf("%v: %v", lost.Signal, lost.Err)
		}
	}
}

func TestAnOlderMeasurementDoesNotReplaceANewerOne(t *testing.T) {
	h := newHost(t, with(eyes, func(c *Config) { c.Smoothing = sec }))
	h.Pass(10 * sec)
	observe(h, read(CPU, 0.5))
	observe(h, Observation{Age: sec, Readings: []Reading{{Signal: CPU, Value: 0.9}}})
	if s := h.M.Snapshot(h.Now, patterns.Counts{}); s.Signals[CPU].Raw != 0.5 || s.Signals[CPU].Age > ms {
		t.Errorf("%+v", s.Signals[CPU])
	}
	h.Pass(sec)
	observe(h, Observation{Age: 500 * ms, Readings: []Reading{{Signal: CPU, Value: 0.7}}})
	s := h.M.Snapshot(h.Now, patterns.Counts{})
	if got := s.Signals[CPU]; got.Raw != 0.7 || got.Age < 500*ms || got.Age > 501*ms || got.Value <= 0.5 || got.Value >= 0.7 {
		t.Errorf("%+v", got)
	}
}

// One signal is enough, and it is the one that is blamed.
func TestTheWorstSignalDecides(t *testing.T) {
	c := with(eyes, func(c *Config) { c.Memory, c.SchedulingLatency, c.GC = 0.8, 10*ms, 0.25 })
	bad := [signals]float64{CPU: 0.9, Memory: 0.9, SchedulingLatency: 0.015, GC: 0.375}
	good := [signals]float64{CPU: 0.5, Memory: 0.5, SchedulingLatency: 0.001, GC: 0.01}
	for worst := range signals {
		h := newHost(t, c)
		tell := func() {
			o := Observation{}
			for s, v := range good {
				if Signal(s) == worst {
					v = bad[s]
				}
				o.Readings = append(o.Readings, Reading{Signal: Signal(s), Value: v})
			}
			observe(h, o)
		}
		for range 10 {
			tell()
			h.Pass(250 * ms)
		}
		// All are as far above, so the share falls as fast.
		want := math.Exp(-gain * 0.5 * 2.25)
		if s := h.M.Snapshot(h.Now, patterns.Counts{}); math.Abs(s.Admitted-want) > 0.02 || math.Abs(s.Pressure-0.5) > 1e-9 {
			t.Errorf("%v: admits %v, want %v; pressure %v", worst, s.Admitted, want, s.Pressure)
		}
		for i := range 20 {
			if got, err := h.Acquire(i, patterns.Request{}); got == machinetest.Rejected {
				e, _ := errors.AsType[*ShedError](err)
				if e.Cause != worst.cause() || e.Value != bad[worst] || e.Threshold != h.M.signals[worst].threshold || e.After != c.ClearAfter {
					t.Fatalf("%v: %+v", worst, e)
				}
			}
		}
		if h.M.strain.byCause[worst.cause().index()] < 4 {
			t.Errorf("%v: shed %v", worst, h.M.strain.byCause)
		}
	}
}

// The share that is admitted grows as fast as what made it fall allows, whatever else is
// close to its own threshold, and whatever the unit.
func TestWhatHadNobodyShedDoesNotHoldUpTheRecovery(t *testing.T) {
	for guilty, calm := range map[Signal]float64{CPU: 0.4, SchedulingLatency: 0.001, GC: 0.1} {
		s := newHost(t, Config{MaxInFlight: 100, MaxQueue: NoQueue, SchedulingLatency: 20 * ms, GC: 0.25})
		tell := func(v float64) {
			o := read(Memory, 0.84)
			o.Readings = append(o.Readings, Reading{Signal: guilty, Value: v})
			observe(s, o)
			s.Pass(250 * ms)
		}
		for _, memory := range []float64{1, 0.1} { // a former overload, of something else, is forgotten
			for range 60 {
				observe(s, read(Memory, memory))
				s.Pass(250 * ms)
			}
		}
		if s.M.control.admit != 1 {
			t.Fatalf("still admits %v", s.M.control.admit)
		}
		for range 40 {
			tell(1)
		}
		low, seconds := s.M.control.admit, 0
		for ; s.M.control.admit < 1; seconds++ {
			for range 4 {
				tell(calm)
			}
		}
		// At a growth of gain*ease it takes that long.
		if want := -math.Log(low) / (gain * ease); low > 0.1 || float64(seconds) > want+2 {
			t.Errorf("%v: from %.3f in %d s, want %.1f", guilty, low, seconds, want)
		}
	}
}

func TestOneMeasurementDoesNotDecideForLong(t *testing.T) {
	s := run(t, with(eyes, func(c *Config) { c.StaleAfter = time.Hour }), "cpu=1 +1ms cpu=1 +30m cpu=1")
	if want := math.Exp(-gain) * math.Exp(-gain*0.001); math.Abs(s.M.control.admit-want) > 1e-3 {
		t.Errorf("admits %v, want %v", s.M.control.admit, want)
	}
}

// What is above its threshold, but not for long enough yet, has nobody more shed.
func TestWhatDoesNotCountYetOnlyKeepsTheShare(t *testing.T) {
	s := run(t, with(eyes, func(c *Config) { c.RaiseAfter = sec }), "cpu=1 +1s cpu=1 +1s cpu=1 +100ms cpu=0.7 +100ms cpu=0.7 ev:c+,L-elevated,c-")
	before := s.M.control.admit
	s.run("+1ms cpu=0.95 +500ms cpu=0.95")
	if s.M.control.admit != before || before >= 1 {
		t.Errorf("admits %v, before %v", s.M.control.admit, before)
	}
}

// Nor does it grow while another signal is above its threshold, though that does not count
// yet either.
func TestWhatAnotherSignalIsAboutToShedIsNotAdmitted(t *testing.T) {
	h := newHost(t, with(eyes, func(c *Config) { c.Memory, c.RaiseAfter = 0.8, sec }))
	tell := func(cpu, memory float64) {
		observe(h, Observation{Readings: []Reading{{Signal: CPU, Value: cpu}, {Signal: Memory, Value: memory}}})
		h.Pass(100 * ms)
	}
	for range 20 {
		tell(1, 0.1)
	}
	for range 2 { // and off
		tell(0.1, 0.1)
	}
	before := h.M.control.admit
	for range 5 {
		tell(0.1, 0.9)
	}
	if h.M.control.admit != before || before >= 1 {
		t.Errorf("admits %v, before %v", h.M.control.admit, before)
	}
}

func TestOfTwoSignalsTheWorseIsBlamed(t *testing.T) {
	for worse, values := range map[Signal][2]float64{CPU: {1, 0.85}, Memory: {0.85, 1}} {
		h := newHost(t, with(eyes, func(c *Config) { c.Memory = 0.8 }))
		for range 3 {
			h.Pass(ms)
			observe(h, Observation{Readings: []Reading{{Signal: CPU, Value: values[0]}, {Signal: Memory, Value: values[1]}}})
		}
		if h.M.control.blame != worse {
			t.Errorf("%v is blamed, not %v", h.M.control.blame, worse)
		}
	}
}

// A level that measurements make has to hold as another.
func TestALevelOfMeasurementsHasToHold(t *testing.T) {
	w := levelWatch{above: marksOf(100, 1), clear: marksOf(100, 0.9), look: patterns.Never}
	if !w.setCut(High, 0, 0) {
		t.Fatal("it does not look")
	}
	w.begin(0, 0, 0, sec)
	w.setCut(Normal, 0, 0)
	w.setCut(High, 0, 0)
	if got := w.see(0, 0, patterns.Instant(sec), sec, sec); got != Normal {
		t.Errorf("%v did not hold", got)
	}
	if got := w.see(0, 0, patterns.Instant(2*sec), sec, sec); got != High {
		t.Errorf("%v, though it held", got)
	}
	w.setCut(Normal, 0, 0)
	w.begin(0, 0, patterns.Instant(3*sec), sec)
	w.setCut(Elevated, 0, 0)
	w.setCut(Normal, 0, 0)
	if got := w.see(0, 0, patterns.Instant(4*sec), sec, sec); got != Elevated {
		t.Errorf("%v, though it was elevated", got)
	}
}

func TestTheConsultationSaysWhatToMeasure(t *testing.T) {
	h := newHost(t, Config{Memory: Off, GC: 0.3, SampleInterval: 100 * ms})
	if got, want := observe(h, Observation{}), (Sampling{100 * ms, [signals]bool{CPU: true, GC: true}}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if c := h.M.Consult(h.Now, "what?"); c.Answer != nil || c.Err != nil {
		t.Errorf("%+v", c)
	}
}

func TestSignalsThatAreSwitchedWhileItRuns(t *testing.T) {
	s := run(t, eyes, "cpu=1 +1ms cpu=1 +1s cpu=1 strain a*3 x ev:c+,L-elevated,S")
	s.Operator(func(now patterns.Instant) { s.M.Reconfigure(now, with(eyes, func(c *Config) { c.CPU = Off })) })
	if s.M.control.cutting || s.M.control.admit != 1 {
		t.Fatalf("still sheds: %+v", s.M.control)
	}
	s.run("a cpu=1 +1ms cpu=1 +10s calm")
	s.Operator(func(now patterns.Instant) { s.M.Reconfigure(now, eyes) })
	s.Drained()
	s.run("cpu=1 +1ms cpu=1 strain ev:c+ +5s ev:L-critical,c-,c? +1s ev:L-normal")
	if snap := s.M.Snapshot(s.Now, patterns.Counts{}); snap.Signals[CPU].Known {
		t.Errorf("%+v", snap.Signals)
	}
}

func TestAThresholdThatMovesDecidesAtTheNextMeasurement(t *testing.T) {
	s := run(t, eyes, "cpu=0.7 +1s cpu=0.7 calm")
	s.Operator(func(now patterns.Instant) { s.M.Reconfigure(now, with(eyes, func(c *Config) { c.CPU = 0.6 })) })
	s.run("+1ms cpu=0.7 calm +1ms cpu=0.7 strain")
	if g := s.M.signals[CPU]; math.Abs(g.clear-0.54) > 1e-9 || math.Abs(g.width-0.4) > 1e-9 {
		t.Errorf("%+v", g)
	}
}
