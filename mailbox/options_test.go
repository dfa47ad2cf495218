package mailbox

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

func none(any) int    { return 0 }
func free(any) int64  { return 0 }
func never(any) bool  { return false }
func bytes(any) int64 { return 1 }

func TestBadOptionsNeverRun(t *testing.T) {
	for want, opts := range map[string][]Option{
		"mailbox: Capacity(0): must be 1 to 16777216":                                             {Capacity(0)},
		"mailbox: Capacity(-1): must be 1 to 16777216":                                            {Capacity(-1)},
		"mailbox: Capacity(16777217): must be 1 to 16777216":                                      {Capacity(MaxCapacity + 1)},
		"mailbox: Cost(0): the limit must be 1 or more":                                           {Cost(0, free)},
		"mailbox: Cost(1): of must not be nil":                                                    {Cost(1, nil)},
		"mailbox: Sojourn(0s): must be above 0":                                                   {Sojourn(0)},
		"mailbox: Sojourn(-1s): must be above 0":                                                  {Sojourn(-time.Second)},
		"mailbox: OnFull(Policy(4)): must be Reject, DropOldest, DropLowest or Block":             {OnFull(4)},
		"mailbox: OnFull(DropLowest): needs Lanes, which say what is lowest":                      {OnFull(DropLowest)},
		"mailbox: Lanes([1 2]): of must not be nil":                                               {Lanes(nil, 1, 2)},
		"mailbox: Lanes([1]): there must be 2 to 64 weights":                                      {Lanes(none, 1)},
		"mailbox: Lanes(0): a weight must be 1 to 1048576":                                        {Lanes(none, 1, 0)},
		"mailbox: Lanes(1048577): a weight must be 1 to 1048576":                                  {Lanes(none, 1, MaxWeight+1)},
		"mailbox: CoDel(0s, 1s): target must be above 0 and less than interval":                   {CoDel(0, time.Second)},
		"mailbox: CoDel(1s, 1s): target must be above 0 and less than interval":                   {CoDel(time.Second, time.Second)},
		"mailbox: NewestFirst(): needs CoDel, which says when":                                    {NewestFirst()},
		"mailbox: TTL(0s): must be above 0":                                                       {TTL(0)},
		"mailbox: WaterMarks(-1, 5): low must be 0 or more, and less than high":                   {WaterMarks(-1, 5)},
		"mailbox: WaterMarks(5, 5): low must be 0 or more, and less than high":                    {WaterMarks(5, 5)},
		"mailbox: WaterMarks(1, 10): the high mark must be at most the capacity, 9":               {WaterMarks(1, 10), Capacity(9)},
		"mailbox: Protect(nil): must not be nil":                                                  {Protect(nil)},
		"mailbox: TTL(0s): must be above 0\nmailbox: NewestFirst(): needs CoDel, which says when": {TTL(0), NewestFirst()},
	} {
		p, err := New(opts...)
		if p != nil || err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
			continue
		}
		if fault, ok := errors.AsType[*ConfigError](err); !ok || !strings.Contains(want, fault.Problem) {
			t.Errorf("%s: no ConfigError", want)
		}
		func() {
			defer func() {
				if r, ok := recover().(error); !ok || r.Error() != want {
					t.Errorf("MustNew panicked with %v, want %s", r, want)
				}
			}()
			MustNew(opts...)
		}()
	}
	if _, err := New(Lanes(none, make([]int, MaxLanes+1)...)); err == nil {
		t.Error("65 lanes")
	}
}

func TestOptionsAtTheirLimitsAreGood(t *testing.T) {
	weights := make([]int, MaxLanes)
	for i := range weights {
		weights[i] = MaxWeight
	}
	for _, opts := range [][]Option{
		{},
		{nil},
		{Capacity(1)},
		{Capacity(MaxCapacity)},
		{Cost(1, bytes)},
		{Cost(math.MaxInt64, bytes)},
		{Sojourn(1)},
		{OnFull(Block)},
		{OnFull(DropLowest), Lanes(none)},
		{Lanes(none, weights...)},
		{Lanes(none, 1, 1)},
		{CoDel(1, 2), NewestFirst()},
		{TTL(1)},
		{WaterMarks(0, 1)},
		{WaterMarks(4, 5), Capacity(5)},
		{Protect(never)},
		{Inline()},
	} {
		if p, err := New(opts...); p == nil || err != nil {
			t.Errorf("got %v", err)
		}
	}
}

func TestOfTwoOptionsTheLaterOneHolds(t *testing.T) {
	userWorld(t, func(_ *testing.T, w *world) {
		pid := w.spawn(w.subject("s", nil), "s")
		release := w.busy(pid)
		w.send(pid, "1")
		w.refused(w.ask(pid, echo("2")), ErrFull)
		release()
		w.settled("s:started s:1")
	}, Capacity(5), OnFull(DropOldest), Capacity(1), OnFull(Reject))
}

func TestOneNewIsForManyActors(t *testing.T) {
	userWorld(t, func(_ *testing.T, w *world) {
		props := w.subject("s", nil)
		a, b := w.spawn(props, "a"), w.spawn(props, "b")
		defer w.busy(a)()
		w.send(a, "1")
		w.refused(w.ask(a, echo("2")), ErrFull)
		w.answered(w.ask(b, echo("3")), echo("3"))
	}, Capacity(1), OnFull(Block))
}

// busy makes an actor work on one message until release is called.
//
//bulwark:bubble
func (w *world) busy(pid *actor.PID) (release func()) {
	w.t.Helper()
	begun, end := make(chan struct{}), make(chan struct{})
	w.send(pid, func(actor.Context) {
		close(begun)
		<-end
	})
	<-begun
	return func() { close(end) }
}
