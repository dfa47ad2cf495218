package actors

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/patterns"
)

// broken is what a turn that panicked leaves for the next incarnation: whoever meant
// to end a permit will not do so again.
type broken struct {
	failing  bool // from the panic until the restart
	permit   uint64
	holder   *actor.PID
	producer *actor.PID // has been told that its standing order is over
}

// recover makes the state whole again after a panic in the middle of a turn.
func (s *shell) recover() (repaired bool) {
	sound := s.mend()
	if sound == nil {
		sound = s.attempt(s.rules.Check)
	}
	if sound != nil {
		s.note(slog.LevelError, "guard's state is rebuilt", slog.Any("error", sound))
		s.rules.Repair(s.now())
	}
	return sound != nil
}

// mend makes the shell's own state whole: it answers whom the turn that panicked left
// without an answer, and ends the permits that it was about to hand out or to end. The
// error is a panic of the rules.
func (s *shell) mend() (err error) {
	if c := s.current; c != nil { // it was answered
		s.current = nil
		s.leaveQueue(c)
		s.dismiss(c.holder)
	}
	told := s.broken.producer
	s.broken.producer = nil
	if c := s.serving; c != nil {
		s.serving = nil
		s.leaveQueue(c)
		if c.credit == nil || !c.sender.Equal(told) {
			s.refuse(c, &s.refusals().failed)
		}
		s.dismiss(c.holder)
	}
	granting, ending := s.granting, append(s.ending, s.unannounced(told)...)
	if s.broken.permit != 0 {
		ending = append(ending, s.broken.permit)
	}
	s.granting, s.broken.permit, s.ending = 0, 0, nil
	err = s.attempt(func() error { s.undo(granting); return nil })
	for _, id := range ending {
		err = errors.Join(err, s.attempt(func() error { s.end(id); return nil }))
	}
	s.balance()
	return err
}

// unannounced ends the standing order of a producer that was told so, and returns the
// permits that it was lent and has not heard of.
func (s *shell) unannounced(told *actor.PID) (permits []uint64) {
	if told == nil {
		return nil
	}
	h := s.holders[holderKey(told)]
	if h == nil || h.credit == nil {
		return nil
	}
	k := h.credit
	if c := k.standing; c != nil {
		s.leaveQueue(c)
		s.counts.Cancelled++
	}
	k.refused()
	known := len(k.permits) - k.fresh
	permits = slices.Clone(k.permits[known:])
	k.permits, k.fresh = k.permits[:known:known], 0
	s.dismiss(h)
	return permits
}

// balance counts as refused what was asked and came to nothing, and as granted what is out
// or has ended.
func (s *shell) balance() {
	c := &s.counts
	// Leased permits that ended by message are reported here, but granted in the cells.
	c.Granted = c.Success + c.Failure + c.Dropped + c.Ignored + c.Reclaimed + s.ledger.live - s.leaseTotals().others
	c.Rejected = c.Asked - c.Granted - c.Cancelled - s.waiting()
}

// end gives a permit back for whoever meant to end it.
func (s *shell) end(id uint64) {
	if id&leasedBit != 0 {
		s.undoLeased(id)
		return
	}
	if s.ledger.find(id) != nil {
		s.counts.Reclaimed++
	}
	s.undo(id)
}

// undo gives a permit back that is still out, and serves nobody yet.
func (s *shell) undo(id uint64) {
	ended, t, ok := s.ledger.end(id)
	if !ok {
		return
	}
	if t != nil {
		s.forget(id, t)
	}
	s.rules.Release(s.now(), patterns.PermitID{Epoch: ended.epoch, ID: id})
}

// undoLeased is undo for a leased permit, which nobody was told of if it is not out.
func (s *shell) undoLeased(id uint64) {
	repeated := s.counts.Repeated
	s.releaseLeased(id)
	s.counts.Repeated = repeated
}

// attempt runs f and turns a panic into an error.
func (s *shell) attempt(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return f()
}
