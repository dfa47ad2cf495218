package mailbox

import (
	"context"
	"log/slog"
	"time"
)

// announceEvery is the least time between two announcements of drops.
const announceEvery = time.Second

// alert sees to it that what was counted is announced. Whoever sets alerted starts the
// one chain of goroutines and timers that there may be.
func (b *box) alert() {
	if b.m.word.Load()&unopened != 0 { // nobody knows yet whose mailbox this is
		return
	}
	if !b.alerted.Load() && b.alerted.CompareAndSwap(false, true) {
		go b.announce()
	}
}

// opened has what was counted before Start announced.
func (b *box) opened() {
	b.reshut()
	if b.faults.Load() > 0 {
		b.alert()
	}
}

func (b *box) announce() {
	if b.tell() {
		time.AfterFunc(announceEvery, b.announce)
		return
	}
	announced, told := b.announced, b.faultsTold // from the store on, they are another chain's
	b.alerted.Store(false)
	if b.drops.load() != announced || b.faults.Load() != told { // counted since
		b.alert()
	}
}

// tell announces what is new, if anything is. Only the chain of announce calls it.
func (b *box) tell() bool {
	now, faults := b.drops.load(), b.faults.Load()
	news := now.Sub(b.announced)
	if n := faults - b.faultsTold; n > 0 {
		b.faultsTold = faults
		b.m.host.log("a function given to the mailbox failed: its messages were queued as if it were not there",
			slog.Uint64("times", n), slog.Any("panic", b.fault.Load()))
	} else if news == (Drops{}) {
		return false
	}
	if b.announced = now; news != (Drops{}) {
		b.publish(Dropped{Who: b.m.host.self, Since: news, Total: now, At: time.Now()}, "a mailbox dropped messages")
	}
	return true
}

type event interface {
	slog.LogValuer
	Level() slog.Level
}

// publish logs e and tells the subscribers of the system's events, whose panics are
// theirs.
func (b *box) publish(e event, msg string) {
	h := &b.m.host
	if h.system == nil {
		return
	}
	defer func() {
		if r := recover(); r != nil {
			h.log("who listens to a mailbox failed", slog.Any("event", e), slog.Any("panic", r))
		}
	}()
	defer h.system.EventStream.Publish(e)
	h.system.Logger().LogAttrs(context.Background(), e.Level(), msg, slog.Any("event", e))
}
