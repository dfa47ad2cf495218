package mailbox

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

func TestStatsTellHowTurnsWereRun(t *testing.T) {
	m, f := newFake(Config{Inline: true, Budget: 2, Capacity: 4})
	for range 3 {
		m.TryEnter()
		m.Exit()
	}
	m.PostUserMessage("a")
	if s := m.Stats(); s.Spot != 4 || s.Queued+s.Handed+s.Handovers+s.Failures+s.Refused != 0 || s.Depth+s.MaxDepth != 0 {
		t.Errorf("on the spot: %+v", s)
	}
	m.TryEnter()
	for range 5 {
		m.PostUserMessage("b")
	}
	post(t, m, func() { panic("x") }, Urgent)
	m.Exit()
	f.run()
	if s := f.stats(m); s.Spot != 5 || s.Queued != 5 || s.Handed < 3 || s.Handed > 4 || s.Handovers != 1 || s.Failures != 1 ||
		s.Refused != 1 || s.Depth != 0 || s.MaxDepth != 5 {
		t.Errorf("queued: %+v", s)
	}
	m.PostSystemMessage(&actor.SuspendMailbox{})
	m.PostUserMessage("c")
	m.PostUserMessage("d")
	if s := m.Stats(); s.Depth != 2 || m.UserMessageCount() != 2 {
		t.Errorf("suspended: %+v", s)
	}
}

func TestTheOldestAgeIsThatOfTheOldestInAnyLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := newFake(Config{Inline: true})
		m.PostSystemMessage(&actor.SuspendMailbox{})
		age := func(want time.Duration) {
			t.Helper()
			if s := m.Stats(); s.OldestAge != want {
				t.Errorf("got %v, want %v", s.OldestAge, want)
			}
		}
		age(0)
		post(t, m, "u", Urgent)
		time.Sleep(time.Second)
		age(time.Second)
		post(t, m, "o", Ordinary)
		post(t, m, "o", Ordinary)
		time.Sleep(time.Second)
		age(2 * time.Second)
		if s := m.Stats(); s.MaxDepth != 3 { // though none was served yet
			t.Errorf("%+v", s)
		}
		m.PostUserMessage(func() { m.PostSystemMessage(&actor.SuspendMailbox{}) })
		m.PostUserMessage("stays")
		m.PostSystemMessage(&actor.ResumeMailbox{})
		time.Sleep(time.Second)
		age(time.Second)
		m.PostSystemMessage(&actor.ResumeMailbox{})
		age(0)
	})
}

func TestSaturationIsTheShareOfTimeSpentInTurns(t *testing.T) {
	for name, c := range map[string]struct {
		turn, pause time.Duration
		want        float64
	}{
		"idle":    {0, time.Second, 0},
		"quarter": {time.Millisecond, 3 * time.Millisecond, 0.25},
		"busy":    {time.Millisecond, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, f := newFake(Config{})
				turns := []func(){
					func() { m.TryEnter(); time.Sleep(c.turn); m.Exit() },
					func() { m.PostUserMessage(func() { time.Sleep(c.turn) }); f.run() },
					func() { post(t, m, func() { time.Sleep(c.turn) }, Ordinary); f.run() },
				}
				for interval := range 3 { // each is told apart from those before
					for i := range 10 * sampleEvery {
						turns[i%len(turns)]()
						time.Sleep(c.pause)
					}
					if s := f.stats(m); math.Abs(s.Saturation-c.want) > 0.01 {
						t.Errorf("interval %d: got %v, want %v", interval, s.Saturation, c.want)
					}
					time.Sleep(time.Hour)
					if s := f.stats(m); s.Saturation > 0.01 {
						t.Errorf("after an idle hour %v", s.Saturation)
					}
				}
			})
		})
	}
}

func TestSaturationIsNeverMoreThanOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := newFake(Config{Inline: true})
		for i := range 4 * sampleEvery {
			m.TryEnter()
			if (i+1)%sampleEvery == 0 { // what is sampled is not what is usual
				time.Sleep(time.Second)
			}
			m.Exit()
		}
		if s := m.Stats(); s.Saturation != 1 {
			t.Errorf("got %v", s.Saturation)
		}
	})
}

func TestSaturationStaysASensibleShareAfterFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, f := newFake(Config{Inline: true})
		time.Sleep(time.Second)
		for range 4 * sampleEvery {
			onGoroutine(func() { m.PostUserMessage(exitGoroutine) })
			f.run()
		}
		time.Sleep(time.Hour)
		m.TryEnter() // ends the last sample, if exiting did not
		m.Exit()
		if s := f.stats(m); s.Saturation != 0 {
			t.Errorf("got %v", s.Saturation)
		}
	})
}
