package loadshedder

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/handletest"
	"github.com/bulwark-go/bulwark/patterns/loadshedder/sampler"
)

// fake measures what it is told to.
type fake struct {
	mu     sync.Mutex
	made   int // probes
	closed int
	asked  [][signals]bool
	do     func(want [signals]bool) []Reading
}

func (f *fake) new() probe {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.made++
	return f
}

func (f *fake) measure(want [signals]bool) []Reading {
	f.mu.Lock()
	f.asked = append(f.asked, want)
	do := f.do
	f.mu.Unlock()
	return do(want)
}

func (f *fake) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed++
}

func (f *fake) become(do func(want [signals]bool) []Reading) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.do = do
}

// measured is how often it did, and for what at last.
func (f *fake) measured() (n int, last [signals]bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n = len(f.asked); n > 0 {
		last = f.asked[n-1]
	}
	return n, last
}

func (f *fake) probes() (made, closed int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.made, f.closed
}

// steady says the same of every signal.
func steady(v float64) func([signals]bool) []Reading {
	return func(want [signals]bool) (r []Reading) {
		for s, on := range want {
			if on {
				r = append(r, Reading{Signal: Signal(s), Value: v})
			}
		}
		return r
	}
}

func spawnFake(t *testing.T, guards *actors.Registry, c Config, f *fake) *Shedder {
	t.Helper()
	s, err := start(guards, "edge", c, f.new, actors.Spawn[Config, Snapshot, *Shedder], nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWhatTheActorMeasuresSheds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		f := &fake{do: steady(0.5)}
		s := spawnFake(t, guards, Config{Memory: Off}, f)
		time.Sleep(10*time.Second + 100*ms)
		if snap := handletest.Settled(t, s); !snap.Signals[CPU].Known || snap.Signals[CPU].Value != 0.5 || snap.Signals[CPU].Age != 100*ms || snap.Signals[Memory].Known {
			t.Errorf("%+v", snap.Signals)
		}
		if n, last := f.measured(); n < 40 || n > 42 || last != [signals]bool{CPU: true} {
			t.Errorf("measured %d times, at last %v", n, last)
		}
		f.become(steady(1))
		shed := map[patterns.Priority]int{}
		for range 1000 {
			time.Sleep(10 * ms)
			for _, p := range []patterns.Priority{patterns.Low, patterns.Critical} {
				permit, err := s.AcquireFor(t.Context(), patterns.Request{Priority: p})
				if err != nil {
					if !isCause(err, CauseCPU) {
						t.Fatal(err)
					}
					shed[p]++
				}
				permit.Report(patterns.Success)
			}
		}
		if shed[patterns.Low] < 500 || shed[patterns.Critical] != 0 {
			t.Errorf("shed %v", shed)
		}
		f.become(steady(0.3))
		time.Sleep(20 * time.Second)
		actorstest.WantEvents(t, guards, actorstest.Is(func(e SignalChanged) bool { return e.On }), BeganShedding, ReachedLevel(High), ReachedLevel(Normal), HasRecovered)
		if snap := handletest.Settled(t, s); snap.Admitted != 1 || snap.Shedding || snap.Level != Normal {
			t.Errorf("%+v", snap)
		}
	})
}

func TestAProbeThatPanicsHarmsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		f := &fake{do: func([signals]bool) []Reading { panic("no such file") }}
		s := spawnFake(t, guards, Config{Memory: Off}, f)
		for range 100 {
			time.Sleep(100 * ms)
			p := handletest.MustAcquire(t, s, patterns.Request{})
			p.Report(patterns.Success)
		}
		actorstest.WantEvents(t, guards, actorstest.Is(func(e SignalLost) bool {
			return e.Signal == CPU && strings.Contains(e.Err.Error(), "measuring panicked: no such file")
		}))
		if snap := handletest.Settled(t, s); snap.Signals[CPU].Failed < 30 || snap.Signals[CPU].Known || snap.Restarts != 0 {
			t.Errorf("%+v", snap.Signals)
		}
		if made, _ := f.probes(); made < 30 {
			t.Errorf("a probe that panicked was used again: %d", made)
		}
		f.become(steady(0.4))
		time.Sleep(time.Second)
		actorstest.WantEvents(t, guards, actorstest.Is(func(e SignalBack) bool { return e.Signal == CPU && e.Value == 0.4 }))
	})
}

func TestAProbeThatHangsHarmsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		wake := make(chan struct{})
		f := &fake{do: func(want [signals]bool) []Reading {
			<-wake
			return steady(0.4)(want)
		}}
		s := spawnFake(t, guards, Config{}, f)
		for range 100 {
			time.Sleep(100 * ms)
			p := handletest.MustAcquire(t, s, patterns.Request{})
			p.Report(patterns.Success)
		}
		actorstest.WantEvents(t, guards, LostSignal, LostSignal)
		if n, _ := f.measured(); n != 1 {
			t.Errorf("%d goroutines hang", n)
		}
		close(wake)
		time.Sleep(time.Second)
		if snap := handletest.Settled(t, s); !snap.Signals[CPU].Known || !snap.Signals[Memory].Known {
			t.Errorf("%+v", snap.Signals)
		}
		if n, _ := f.measured(); n < 4 {
			t.Errorf("measured %d times after it hung", n)
		}
	})
}

func TestMeasuringStopsWithTheShedder(t *testing.T) {
	for name, stop := range map[string]func(t *testing.T, guards *actors.Registry, s *Shedder){
		"stopped":   func(t *testing.T, _ *actors.Registry, s *Shedder) { _ = s.Stop(t.Context()) },
		"shut down": func(t *testing.T, guards *actors.Registry, _ *Shedder) { _ = guards.Shutdown(t.Context()) },
	} {
		for _, hang := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					guards := actorstest.NewRegistry(t)
					wake := make(chan struct{})
					f := &fake{do: func(want [signals]bool) []Reading {
						if hang {
							<-wake
						}
						return steady(0.5)(want)
					}}
					s := spawnFake(t, guards, Config{}, f)
					time.Sleep(1100 * ms)
					if !alive(guards, s.sampling) {
						t.Fatal("it does not measure")
					}
					stop(t, guards, s)
					synctest.Wait()
					if alive(guards, s.sampling) {
						t.Error("it still measures")
					}
					before, _ := f.measured()
					time.Sleep(time.Minute)
					after, _ := f.measured()
					if _, closed := f.probes(); after != before || !hang && closed != 1 {
						t.Errorf("measured %d times more; closed %d", after-before, closed)
					}
					close(wake)
					synctest.Wait()
					if _, closed := f.probes(); closed != 1 {
						t.Errorf("closed %d times", closed)
					}
				})
			})
		}
	}
}

func TestMeasuringFollowsTheConfig(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guards := actorstest.NewRegistry(t)
		f := &fake{do: steady(0.1)}
		s := spawnFake(t, guards, blind, f)
		time.Sleep(time.Hour)
		if n, _ := f.measured(); n != 0 {
			t.Fatalf("measured %d times for nobody", n)
		}
		if err := s.Reconfigure(t.Context(), with(blind, func(c *Config) { c.GC = 0.5 })); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if n, last := f.measured(); n < 4 || last != [signals]bool{GC: true} {
			t.Fatalf("measured %v %d times in a second", last, n)
		}
		if err := s.Reconfigure(t.Context(), with(blind, func(c *Config) { c.GC, c.CPU, c.SampleInterval = 0.5, 0.5, 100*ms })); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if n, last := f.measured(); n < 13 || n > 20 || last != [signals]bool{CPU: true, GC: true} {
			t.Fatalf("measured %d times in 2 s, at last %v", n, last)
		}
		// By message nobody tells the actor, which asks.
		reply, err := actors.Ask[any](t.Context(), guards.System(), s.PID(), actors.Reconfigure{Config: blind})
		if err != nil || reply != (actors.Ack{}) {
			t.Fatal(reply, err)
		}
		time.Sleep(time.Second)
		before, _ := f.measured()
		time.Sleep(time.Hour)
		if n, _ := f.measured(); n != before {
			t.Error("still measures")
		}
		if _, err := actors.Ask[any](t.Context(), guards.System(), s.PID(), actors.Reconfigure{Config: Config{}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(idle + time.Second)
		if n, _ := f.measured(); n == before {
			t.Error("does not measure again")
		}
	})
}

func TestOthersMayMeasure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{do: steady(0.1)}
		s := spawnFake(t, actorstest.NewRegistry(t), Config{SampleInterval: Off, SchedulingLatency: 10 * ms}, f)
		for range 40 {
			if err := s.Observe(t.Context(), Reading{Signal: SchedulingLatency, Value: 0.1}, Reading{Signal: Memory, Err: errors.New("no")}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * ms)
		}
		snap := handletest.Settled(t, s)
		if !snap.Signals[SchedulingLatency].On || snap.Admitted > 0.5 || snap.Signals[Memory].Failed != 40 {
			t.Errorf("%+v", snap)
		}
		if n, _ := f.measured(); n != 0 {
			t.Errorf("measured %d times", n)
		}
	})
}

// The machine that the tests run on has memory, a part of which is used.
func TestTheMachineIsMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := spawnEdge(t, actorstest.NewRegistry(t), Config{SchedulingLatency: time.Hour, GC: 1})
		time.Sleep(time.Second)
		for s, got := range handletest.Settled(t, s).Signals {
			if Signal(s) != CPU && (!got.Known || got.Value < 0 || got.Value > 1 || Signal(s) == Memory && got.Value == 0) {
				t.Errorf("%v: %+v", Signal(s), got)
			}
		}
	})
}

func TestQuietIsNoLackOfMeasurements(t *testing.T) {
	p := newProbe().(*machineProbe)
	defer p.close()
	want := [signals]bool{SchedulingLatency: true, GC: true}
	for _, r := range p.measure(want) {
		if r.Err != nil {
			t.Errorf("%v: %v", r.Signal, r.Err)
		}
	}
	if got := sources(want); got != sampler.SchedLatency|sampler.GC {
		t.Errorf("reads %v", got)
	}
	if got := p.measure([signals]bool{}); len(got) != 0 {
		t.Errorf("%v", got)
	}
	all := p.measure([signals]bool{true, true, true, true})
	if len(all) < 3 || len(all) > 4 || p.want != [signals]bool{true, true, true, true} {
		t.Errorf("%v", all)
	}
}
