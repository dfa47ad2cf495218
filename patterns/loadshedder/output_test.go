package loadshedder

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

func TestRefusalsReadWell(t *testing.T) {
	base := ShedError{Name: "edge", Priority: patterns.Low, InFlight: 7, Limit: 8, Waiting: 2, After: sec}
	for want, change := range map[string]func(*ShedError){
		`load shedder "edge" sheds low requests (queue): 7 of 8 in flight, 2 wait`: func(e *ShedError) { e.Cause = CauseQueue },
		`load shedder "edge" sheds low requests (cpu): 91.2% of 85.0%`:             func(e *ShedError) { e.Cause, e.Value, e.Threshold = CauseCPU, 0.912, 0.85 },
		`load shedder "edge" sheds low requests (scheduling-latency): 12ms of 10ms`: func(e *ShedError) {
			e.Cause, e.Value, e.Threshold = CauseSchedulingLatency, 0.012, 0.01
		},
		`load shedder "edge" sheds low requests (throttle): 40.0%`:             func(e *ShedError) { e.Cause, e.Value = CauseThrottle, 0.4 },
		`load shedder "edge" sheds low requests (forced): an operator said so`: func(e *ShedError) { e.Cause = CauseForced },
	} {
		e := base
		change(&e)
		if e.Error() != want {
			t.Errorf("%s\nwant %s", &e, want)
		}
		if wrapped := fmt.Errorf("call: %w", &e); !errors.Is(wrapped, ErrShed) || !errors.Is(wrapped, patterns.ErrRejected) || errors.Is(wrapped, patterns.ErrInvalidRequest) {
			t.Errorf("%v matches the wrong errors", e.Cause)
		}
		if after, ok := patterns.RetryAfter(&e); !ok || after != sec {
			t.Errorf("retry after %v, %v", after, ok)
		}
	}
	heavy := &WeightError{"edge", 9, 8}
	if heavy.Error() != `load shedder "edge": weight 9 is above the limit of 8` || !errors.Is(heavy, patterns.ErrInvalidRequest) || !errors.Is(heavy, patterns.ErrRejected) || errors.Is(heavy, ErrShed) {
		t.Error(heavy)
	}
}

func TestARefusalIsSharedForAWhile(t *testing.T) {
	s := run(t, door, "a*4 x x")
	ask := func(p patterns.Priority) *ShedError {
		d := s.M.Acquire(s.Now, 1, &patterns.Request{Priority: p})
		e, _ := errors.AsType[*ShedError](d.Err)
		return e
	}
	first := ask(patterns.Normal)
	if ask(patterns.Normal) != first || ask(patterns.Low) == first || first.Level != Critical || first.InFlight != 4 || first.Limit != 4 || first.Priority != patterns.Normal {
		t.Errorf("%+v", first)
	}
	s.Pass(99 * ms)
	if ask(patterns.Normal) != first {
		t.Error("made anew too soon")
	}
	s.Pass(ms)
	if ask(patterns.Normal) == first {
		t.Error("never made anew")
	}
}

func TestRetryAfter(t *testing.T) {
	s := newShop(t, 10*ms, with(counter, func(c *Config) { c.MaxQueue, c.QueueDelay = 4, AnyDelay() }))
	s.offer(ms, sec, patterns.Normal)
	after := func(c Cause) time.Duration { return s.M.after(c) }
	// 400 a second end: one in 2.5 ms, and 4 who wait and one more in 12.5.
	if d := after(CauseInFlight); d < 2*ms || d > 3*ms || after(CausePriority) != d {
		t.Errorf("a place is free in %v", d)
	}
	if d := after(CauseQueue); d < 10*ms || d > 15*ms || after(CauseMaxWait) != d || after(CauseDeadline) != d || after(CauseQueueDelay) != d {
		t.Errorf("the queue is shorter in %v", d)
	}
	if after(CauseCPU) != s.M.cfg.ClearAfter || after(CauseForced) != 0 {
		t.Errorf("%v, %v", after(CauseCPU), after(CauseForced))
	}
	if m := newTestMachine(Config{}); m.after(CauseInFlight) != 0 || m.after(CauseQueue) != 0 {
		t.Error("it knows what it cannot")
	}
}

func TestEventsKnowHowLoudTheyAreAndWhoseTheyAre(t *testing.T) {
	at := origin
	tests := []struct {
		e     patterns.Event
		level slog.Level
		want  string
	}{
		{
			LevelChanged{"e", Normal, Elevated, 7, 10, 0.5, at},
			slog.LevelInfo,
			"event=level-changed guard=e from=normal to=elevated in_flight=7 limit=10 pressure=0.5",
		},
		{
			LevelChanged{"e", Normal, High, 8, 10, 0, at},
			slog.LevelWarn,
			"event=level-changed guard=e from=normal to=high in_flight=8 limit=10 pressure=0",
		},
		{
			Shedding{"e", CauseQueue, patterns.Low, Critical, 10, 10, 5, at},
			slog.LevelWarn,
			"event=shedding guard=e cause=queue priority=low load=critical in_flight=10 limit=10 waiting=5",
		},
		{Recovered{"e", sec, 9, at}, slog.LevelInfo, "event=recovered guard=e after=1s shed=9"},
		{SignalChanged{"e", CPU, true, 0.9, 0.85, at}, slog.LevelWarn, "event=signal-changed guard=e signal=cpu on=true value=0.9 threshold=0.85"},
		{SignalChanged{"e", GC, false, 0.1, 0.25, at}, slog.LevelInfo, "event=signal-changed guard=e signal=gc on=false value=0.1 threshold=0.25"},
		{SignalLost{"e", Memory, errNoReading, at}, slog.LevelWarn, "event=signal-lost guard=e signal=memory error=nothing was measured"},
		{SignalBack{"e", SchedulingLatency, 0.001, sec, at}, slog.LevelInfo, "event=signal-back guard=e signal=scheduling-latency value=0.001 after=1s"},
		{
			StateChanged{"e", Automatic, ForcedOpen, CauseForced, 3, "ticket", at},
			slog.LevelInfo,
			"event=state-changed guard=e from=automatic to=forced-open cause=forced epoch=3 note=ticket",
		},
		{
			StateChanged{"e", Automatic, Automatic, CauseRepaired, 3, "", at},
			slog.LevelWarn,
			"event=state-changed guard=e from=automatic to=automatic cause=repaired epoch=3",
		},
		{ConfigChanged{"e", Config{}, Config{}, at}, slog.LevelInfo, "event=config-changed guard=e from="},
	}
	for _, tt := range tests {
		var text []string
		for _, a := range tt.e.LogValue().Group() {
			text = append(text, a.String())
		}
		got := strings.Join(text, " ")
		if !strings.HasPrefix(got, tt.want) || !strings.HasSuffix(got, " at="+slog.TimeValue(at).String()) {
			t.Errorf("%s\nwant %s", got, tt.want)
		}
		if tt.e.Level() != tt.level || tt.e.Source() != "e" {
			t.Errorf("%T: level %v, source %q", tt.e, tt.e.Level(), tt.e.Source())
		}
	}
	if !BeganShedding(Shedding{}) || BeganShedding(Recovered{}) || !HasRecovered(Recovered{}) || HasRecovered(Shedding{}) ||
		!LostSignal(SignalLost{}) || LostSignal(SignalBack{}) || !ReachedLevel(High)(LevelChanged{To: High}) || ReachedLevel(High)(LevelChanged{To: Normal}) || ReachedLevel(High)(Shedding{}) {
		t.Error("tests of events")
	}
}

func TestEventsSayWhen(t *testing.T) {
	s := run(t, door, "+3s a*4 x*2 d*4 +5s")
	events := s.Drained()
	if got := short(events); got != "S,R2" {
		t.Fatal(got)
	}
	shed, recovered := events[0].(Shedding), events[1].(Recovered)
	if shed.At.Sub(origin).Round(ms) != 3*sec || shed.Cause != CauseInFlight || shed.Load != Critical || shed.InFlight != 4 || shed.Limit != 4 {
		t.Errorf("%+v", shed)
	}
	if recovered.After.Round(ms) != 2*sec || recovered.At.Sub(shed.At) != recovered.After {
		t.Errorf("%+v", recovered)
	}
}

func TestNamesOfValues(t *testing.T) {
	for want, v := range map[string]fmt.Stringer{
		"normal": Normal, "elevated": Elevated, "high": High, "critical": Critical, "level(9)": Level(9),
		"automatic": Automatic, "forced-open": ForcedOpen, "forced-closed": ForcedClosed, "metrics-only": MetricsOnly, "state(9)": State(9),
		"cpu": CPU, "memory": Memory, "scheduling-latency": SchedulingLatency, "gc": GC, "signal(9)": Signal(9),
		"CoDel(5ms,100ms)": CoDel(5*ms, 100*ms), "PIE(15ms)": PIE(15 * ms), "AnyDelay()": AnyDelay(), "default": Law{},
	} {
		if v.String() != want {
			t.Errorf("%s, want %s", v, want)
		}
	}
	if !Critical.Valid() || Level(4).Valid() || !MetricsOnly.Valid() || State(4).Valid() || !GC.Valid() || Signal(4).Valid() {
		t.Error("what is no value is valid")
	}
	for i, c := range shedding {
		if c.index() != i {
			t.Errorf("%s is %d", c, c.index())
		}
	}
	if CauseReset.index() != -1 {
		t.Error("a reset sheds")
	}
	for s := range signals {
		if s.cause().index() < 0 {
			t.Errorf("%v is no cause", s)
		}
	}
}

func TestSnapshot(t *testing.T) {
	s := run(t, hall, "a.h w:2 w x.l=queue*0")
	counts := patterns.Counts{Waiting: 2, InFlight: 1}
	snap := s.M.Snapshot(s.Now, counts)
	want := Snapshot{
		Name: "s", Epoch: 2, Limit: 2, Used: 1, Peak: 1, MaxQueue: 3, Admitted: 1, Open: [levels]float64{1, 1, 1, 1, 1},
		Strained: true, Counts: counts,
	}
	for i := range want.Signals {
		want.Signals[i].Threshold = Off
	}
	if snap != want {
		t.Errorf("%+v\nwant %+v", snap, want)
	}
	if snap.Utilization() != 0.5 || snap.Cutoff() != patterns.Background || (&Snapshot{}).Utilization() != 0 {
		t.Errorf("utilization %v, cut-off %v", snap.Utilization(), snap.Cutoff())
	}
	// Each cause has a counter of its own.
	m := newTestMachine(Config{})
	for i, c := range shedding {
		for range 1 << i {
			m.strain.count(c, patterns.High)
		}
	}
	got := m.Snapshot(0, patterns.Counts{})
	if got.Shed != (ShedCounts{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048}) || got.Shed.Total() != 4095 || got.ShedByPriority != [levels]uint64{3: 4095} {
		t.Errorf("%+v", got.Shed)
	}
}
