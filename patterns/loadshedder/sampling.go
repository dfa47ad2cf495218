package loadshedder

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/loadshedder/sampler"
)

// sampling is the actor that measures for one shedder. Measuring runs on a goroutine of its
// own, one at a time: if it hangs, nothing is measured until it goes on, and the shedder
// says that its signals are lost; but the actor still stops with the shedder.
//
//	timer ──measure──▶ sampling ──▶ goroutine ──measured──▶ sampling
//	                   sampling ──Consult{Observation}──▶ shedder
//	                   sampling ◀──────Sampling────────── shedder
type sampling struct {
	shedder *actor.PID
	probes  func() probe
	probe   probe    // while nobody measures
	want    Sampling // as the shedder said last
	timer   *time.Timer
	out     bool            // somebody measures
	alive   context.Context // until it stops, or is restarted
	over    context.CancelFunc
}

type (
	// measure says that it is time to.
	measure struct{}

	// measured says that it was done. The probe is nil if it is not to be used again.
	measured struct {
		probe    probe
		readings []Reading
		began    time.Time
	}
)

// idle is how often to ask a shedder that wants nothing measured whether it does by now: it
// may have been reconfigured by message.
const idle = 10 * time.Second

// probe measures. One is used by one goroutine at a time.
type probe interface {
	measure(want [signals]bool) []Reading
	close()
}

// measure starts the actor.
func (s *Shedder) measure(probes func() probe) error {
	props := actor.PropsFromProducer(func() actor.Actor { return &sampling{shedder: s.PID(), probes: probes} })
	if _, err := s.System().Root.SpawnNamed(props, s.sampling.Id); err != nil {
		return fmt.Errorf("loadshedder: spawn sampling: %w", err)
	}
	return nil
}

// Receive is the actor's turn.
func (a *sampling) Receive(c actor.Context) {
	switch msg := c.Message().(type) {
	case *actor.Started:
		c.Watch(a.shedder)
		a.alive, a.over = context.WithCancel(context.Background())
		a.begin(c)
	case measure:
		a.begin(c)
	case measured:
		a.out, a.probe = false, msg.probe
		c.Request(a.shedder, actors.Consult{Question: Observation{Age: time.Since(msg.began), Readings: msg.readings}})
	case Sampling:
		if msg != a.want {
			a.want = msg
			a.begin(c)
		}
	case *actor.Terminated:
		c.Stop(c.Self())
	case *actor.Stopping, *actor.Restarting:
		a.end()
	}
}

// begin has it measured, unless it still is, and sets the timer. Where there is nothing to
// measure it asks whether there is now.
func (a *sampling) begin(c actor.Context) {
	a.arm(c)
	if !a.wanted() {
		c.Request(a.shedder, actors.Consult{Question: Observation{}})
		return
	}
	if a.out {
		return
	}
	a.out = true
	p, want, alive, self, root := a.probe, a.want.Signals, a.alive, c.Self(), c.ActorSystem().Root
	if a.probe = nil; p == nil {
		p = a.probes()
	}
	go func() {
		done := measured{began: time.Now()}
		readings, sound := try(p, want)
		if alive.Err() != nil { // nobody takes the probe back
			p.close()
			return
		}
		if done.readings = readings; sound {
			done.probe = p
		}
		root.Send(self, done)
	}()
}

func (a *sampling) wanted() bool { return a.want.Interval > 0 && a.want.Signals != [signals]bool{} }

func (a *sampling) arm(c actor.Context) {
	every := a.want.Interval
	if !a.wanted() {
		every = idle
	}
	if a.timer != nil {
		a.timer.Reset(every)
		return
	}
	self, root := c.Self(), c.ActorSystem().Root
	a.timer = time.AfterFunc(every, func() { root.Send(self, measure{}) })
}

func (a *sampling) end() {
	if a.over != nil {
		a.over()
	}
	if a.timer != nil {
		a.timer.Stop()
	}
	if a.probe != nil {
		a.probe.close()
	}
}

// try measures, and makes failures of a panic. What panicked is not to be used again.
func try(p probe, want [signals]bool) (readings []Reading, sound bool) {
	defer func() {
		if r := recover(); r != nil {
			err := fmt.Errorf("measuring panicked: %v", r)
			readings, sound = nil, false
			for i, on := range want {
				if on {
					readings = append(readings, Reading{Signal: Signal(i), Err: err})
				}
			}
		}
	}()
	return p.measure(want), true
}

// machineProbe measures the machine that this runs on.
type machineProbe struct {
	want    [signals]bool
	sampler *sampler.Sampler
	began   time.Time
}

func newProbe() probe { return &machineProbe{began: time.Now()} }

// oldest is how old a value of the runtime may be that still tells of now. It has a new
// one after each garbage collection, or once enough goroutines ran: if there is none, all
// is quiet.
const oldest = 2 * time.Second

func (p *machineProbe) measure(want [signals]bool) []Reading {
	if p.sampler == nil || p.want != want {
		p.close()
		p.sampler, _ = sampler.New(sampler.Options{Signals: sources(want)}) // the Options are valid
		p.want = want
	}
	r := p.sampler.Read(patterns.Instant(time.Since(p.began)))
	readings := make([]Reading, 0, signals)
	for i, on := range want {
		if !on {
			continue
		}
		if v, err := value(&r, Signal(i)); !errors.Is(err, sampler.ErrPending) {
			readings = append(readings, Reading{Signal: Signal(i), Value: v, Err: err})
		}
	}
	return readings
}

func (p *machineProbe) close() {
	if p.sampler != nil {
		_ = p.sampler.Close() // it was read only
	}
}

// sources are what the sampler must read for these signals.
func sources(want [signals]bool) (all sampler.Signal) {
	for i, s := range [signals]sampler.Signal{
		CPU: sampler.CPU, Memory: sampler.Memory | sampler.GoMemory, SchedulingLatency: sampler.SchedLatency, GC: sampler.GC,
	} {
		if want[i] {
			all |= s
		}
	}
	return all
}

// value is what a reading says of a signal.
func value(r *sampler.Reading, s Signal) (float64, error) {
	switch s {
	case CPU:
		v := r.Of(sampler.CPU)
		return v.Value, v.Err
	case Memory:
		// GOMEMLIMIT, if there is one, is a limit like another.
		v, g := r.Of(sampler.Memory), r.Of(sampler.GoMemory)
		if g.Err == nil && (v.Err != nil || g.Value > v.Value) {
			v = g
		}
		return v.Value, v.Err
	case SchedulingLatency:
		return recent(r, sampler.SchedLatency)
	}
	return recent(r, sampler.GC)
}

// recent is a value of the runtime, 0 if it has none that tells of now.
func recent(r *sampler.Reading, s sampler.Signal) (float64, error) {
	v := r.Of(s)
	if errors.Is(v.Err, sampler.ErrPending) || v.Err == nil && r.At.Sub(v.At) > oldest {
		return 0, nil
	}
	return v.Value, v.Err
}
