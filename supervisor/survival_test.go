package supervisor

import (
	"log/slog"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

func TestTrap5AGuardianThatEscalatesDoesNotEndTheProcess(t *testing.T) {
	bubble(t, func(k *kit) {
		guardian := actor.NewOneForOneStrategy(0, 0, func(any) actor.Directive { return actor.EscalateDirective })
		k.family(must(t, allow(1, time.Minute)), actor.WithGuardian(guardian))
		k.send("boss/a", fail{"ouch"})
		k.noted("a restarting, a started")
		k.send("boss/a", fail{"ouch"})
		k.noted("a stopped")
		if e := k.events(); len(e) != 1 || e[0].Directive != Stop || e[0].Level() != slog.LevelError {
			t.Errorf("events %+v", e)
		}
		k.logged("ERROR handing a failure up panicked", "ERROR supervisor gave up a child")
		k.send("boss", "works")
		k.send("boss/b", "works")
		k.noted("boss works, b works")
		k.send("boss/b", fail{"ouch"}) // handing up failed, so nothing began anew
		k.noted("b stopped")
	})
}

func TestAGuardianThatRestartsIsSomebodyAbove(t *testing.T) {
	bubble(t, func(k *kit) {
		guardian := actor.NewRestartingStrategy()
		k.family(must(t, allow(1, time.Minute)), actor.WithGuardian(guardian))
		k.send("boss/a", fail{"ouch"})
		k.noted("a restarting, a started")
		k.send("boss/a", fail{"ouch"})
		k.noted("a stopped, boss restarting, b stopped, boss started, a started, b started")
	})
}

func TestTrap5APanickingSubscriberDoesNotStopSupervision(t *testing.T) {
	bubble(t, func(k *kit) {
		k.family(must(t, allow(1, time.Minute)))
		k.system.EventStream.Subscribe(func(any) { panic("subscriber") })
		k.send("boss/a", fail{"ouch"})
		k.noted("a restarting, a started")
		k.send("boss/a", fail{"ouch"})
		k.noted("a stopped")
		k.send("boss/b", "works")
		k.noted("b works")
		subscriber := "ERROR a subscriber of the EventStream panicked"
		k.logged(subscriber, subscriber, // restarted
			subscriber, subscriber, "ERROR supervisor gave up a child", subscriber, // stopping, and given up
			subscriber) // stopped
	})
}

func TestAPanickingLoggerDoesNotStopSupervision(t *testing.T) {
	bubble(t, func(k *kit) {
		k.family(must(t, allow(1, time.Minute)))
		k.mu.Lock()
		k.doom = true
		k.mu.Unlock()
		k.send("boss/a", fail{"ouch"})
		k.noted("a restarting, a started")
		k.send("boss/a", fail{"ouch"})
		k.noted("a stopped")
		if e := k.events(); len(e) != 1 {
			t.Errorf("events %+v", e)
		}
		k.send("boss/b", "works")
		k.noted("b works")
	})
}

func TestALoggerOfOnesOwnGetsTheEvents(t *testing.T) {
	bubble(t, func(k *kit) {
		own := &kit{t: t}
		k.family(must(t, Config{}, WithLogger(slog.New(own)), Decide(func(any) Directive { return Escalate })))
		k.send("boss/a", fail{"ouch"})
		k.noted("a stopped")
		own.logged("ERROR supervisor gave up a child")
		k.logged()
	})
}

func TestASpawnFunctionGivenLaterChangesNothing(t *testing.T) {
	bubble(t, func(k *kit) {
		k.family(must(t, allow(1, time.Minute)), actor.WithSpawnFunc(actor.DefaultSpawner))
		k.send("boss/a", fail{"ouch"})
		k.noted("a restarting, a started")
		k.send("boss/b", fail{"ouch"})
		k.noted("b stopped")
	})
}

// brokenSupervisor is no actor, and panics when it is asked to do anything.
type brokenSupervisor struct{ actor.Supervisor }

func TestTrap5WhateverPanicsTheChildIsStopped(t *testing.T) {
	bubble(t, func(k *kit) {
		k.root(k.actorOf("orphan", nil), "orphan")
		k.noted("orphan started")
		for _, decide := range []Directive{Restart, Stop, Resume, Escalate} {
			s := &Strategy{wiring: wiring{decide: func(any) Directive { return decide }}}
			s.HandleFailure(k.system, brokenSupervisor{}, k.system.NewLocalPID("orphan"), nil, "ouch", nil)
			if decide == Restart {
				k.noted("orphan stopped")
			}
		}
		failed := "ERROR supervision failed: the child is stopped"
		k.logged(failed, failed, failed, failed)
	})
}

// idleSupervisor is no actor; it does what it is asked.
type idleSupervisor struct {
	actor.Supervisor
	stopped int
}

func (s *idleSupervisor) StopChildren(...*actor.PID) { s.stopped++ }

func TestWhatIsNoActorHasNobodyAbove(t *testing.T) {
	bubble(t, func(k *kit) {
		s := &Strategy{wiring: wiring{decide: func(any) Directive { return Escalate }}}
		guardian := &idleSupervisor{}
		s.HandleFailure(k.system, guardian, k.system.NewLocalPID("x"), nil, "ouch", nil)
		if e := k.events(); len(e) != 1 || e[0].Directive != Stop || e[0].Supervisor != "" || guardian.stopped != 1 {
			t.Errorf("stopped %d, events %+v", guardian.stopped, e)
		}
		k.logged("ERROR supervisor gave up a child: what supervises it is no actor, and has no history")
	})
}
