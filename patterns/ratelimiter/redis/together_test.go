package redislimiter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/redis/go-redis/v9"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/internal/handletest"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
)

func TestARefusalFurtherInGivesBackWhatWasTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(10)
		guards := actorstest.NewRegistry(t)
		l := spawnOn(t, guards, s, Config{})
		rooms := handletest.Must(bulkhead.Spawn(guards, "rooms", bulkhead.Config{MaxConcurrent: 1}))(t)
		both := handletest.Must(pipeline.New("both", l.For("ann"), rooms))(t)
		busy := handletest.MustAcquire(t, rooms, patterns.Request{})
		for range 20 { // more than there are
			err := patterns.Run(t.Context(), both, func(context.Context) error { return nil })
			if !errors.Is(err, bulkhead.ErrFull) {
				t.Fatalf("got %v", err)
			}
			time.Sleep(time.Millisecond)
		}
		if used := s.used("ann"); used != 0 {
			t.Errorf("%d are used in Redis, and nothing ran", used)
		}
		busy.Report(patterns.Success)
		if err := patterns.Run(t.Context(), both, func(context.Context) error { return nil }); err != nil || s.used("ann") != 1 {
			t.Errorf("%v, %d are used", err, s.used("ann"))
		}
		snapshot(t, l)
	})
}

// An actor asks by message, is answered by message, and what it holds ends with it.
func TestPermitsAreMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(3)
		s.takes = time.Millisecond
		l := spawnOn(t, actorstest.NewRegistry(t), s, Config{})
		told := make(chan string, 9)
		holder := l.System().Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			switch m := c.Message().(type) {
			case *actor.Started:
				for ref := range uint64(3) {
					c.Request(l.PID(), actors.Acquire{Ref: ref, Key: "ann", Weight: 2 - int(ref/2), NoWait: true, Holder: c.Self()})
				}
			case actors.Granted:
				told <- fmt.Sprint(m.Ref, " granted")
			case actors.Rejected:
				told <- fmt.Sprint(m.Ref, " limited ", errors.Is(m.Err, ratelimiter.ErrLimited), " ", m.RetryAfter)
			}
		}))
		time.Sleep(10 * time.Millisecond)
		var got []string
		for len(told) > 0 {
			got = append(got, <-told)
		}
		if want := []string{"0 granted", "1 limited true 1s", "2 granted"}; !slices.Equal(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}
		if n := snapshot(t, l); n.InFlight != 2 || s.used("ann") != 3 {
			t.Errorf("%d in flight, %d used", n.InFlight, s.used("ann"))
		}
		l.System().Root.Stop(holder)
		time.Sleep(10 * time.Millisecond)
		n := snapshot(t, l)
		if n.InFlight != 0 || n.Reclaimed != 2 {
			t.Errorf("its holder is gone: %+v", n.Counts)
		}
		if used := s.used("ann"); used != 0 {
			t.Errorf("%d are used: what nobody reported is given back", used)
		}
	})
}

// A holder that dies before it is answered has what was taken for it given back.
func TestAHolderThatDiesWhileItsCallIsOnTheWayTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(3)
		s.takes = 20 * time.Millisecond
		l := spawnOn(t, actorstest.NewRegistry(t), s, Config{})
		holder := l.System().Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if _, started := c.Message().(*actor.Started); started {
				c.Request(l.PID(), actors.Acquire{Key: "ann", Weight: 2, Holder: c.Self()})
			}
		}))
		time.Sleep(10 * time.Millisecond)
		l.System().Root.Stop(holder)
		time.Sleep(100 * time.Millisecond)
		if n := snapshot(t, l); n.InFlight != 0 || n.Waiting != 0 || s.used("ann") != 0 {
			t.Errorf("%+v, %d used", n.Counts, s.used("ann"))
		}
	})
}

func TestEventsTellTheStory(t *testing.T) {
	h := newHost(t, 1, Config{OnOutage: FailClosed, Failures: 1})
	round := func(how fate) {
		h.ask("ann", 1)
		h.depart()
		h.comeBack(how, false)
	}
	round(answered)
	round(answered)
	round(refused)
	round(refused)
	h.pass(time.Second)
	round(refused)
	round(failed)
	h.pass(time.Second)
	h.settle()
	h.m.Reconfigure(h.now, Config{Rate: ratelimiter.MustParse("2/second")})
	if err := h.m.Operate(h.now, patterns.Operation{Kind: patterns.ForceOpen}); err != nil {
		t.Error(err)
	}
	var got []string
	for _, e := range h.events() {
		if e.Source() != "test" {
			t.Errorf("%v is of %q", e, e.Source())
		}
		words := []string{e.(interface{ Level() slog.Level }).Level().String()}
		for _, a := range e.LogValue().Group() {
			if a.Key != "guard" && a.Key != "at" {
				words = append(words, a.Key+"="+a.Value.String())
			}
		}
		got = append(got, strings.Join(words, " "))
	}
	want := []string{
		"INFO event=limited cause=rate rate=1/300d refused=1",
		"ERROR event=store-refused requests=1 error=" + errAuth.Error(),
		"ERROR event=store-refused requests=2 error=" + errAuth.Error(),
		"ERROR event=outage-began policy=fail-closed error=" + errUnreachable.Error(),
		"WARN event=outage-ended lasted=1s",
		"INFO event=config-changed from=1/300d to=2/second",
		"INFO event=state-changed from=limiting to=forced-open cause=forced epoch=2",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if e := (ClientUnfit{Name: "x", Problems: "p"}); e.Level() != slog.LevelWarn || e.Source() != "x" || !strings.Contains(e.LogValue().String(), "problems=p") {
		t.Errorf("%v", e.LogValue())
	}
}

func TestAnUnfitClientIsToldOfOnce(t *testing.T) {
	guards := actorstest.NewRegistry(t)
	events, cancel := guards.Subscribe()
	defer cancel()
	c := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer func() { _ = c.Close() }()
	l, err := Spawn(guards, "api", Config{Rate: ratelimiter.MustParse("1/s"), Client: c})
	if err != nil {
		t.Fatal(err)
	}
	l.Allow("ann")
	for e := range events {
		if u, ok := e.(ClientUnfit); ok {
			if !strings.Contains(u.Problems, "ContextTimeoutEnabled") || u.Name != "api" {
				t.Errorf("%+v", u)
			}
			return
		}
	}
}
