package actors

import (
	"context"

	"github.com/bulwark-go/bulwark/patterns"
)

// Consult asks the guard's rules a question of the pattern's own and returns the answer.
// The error is what the rules say, ErrUnsupported if they do not know the question, ctx's,
// or a *Refusal if the guard has stopped.
func (h *Handle) Consult(ctx context.Context, question any) (answer any, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if h.shell.mailbox.TryEnter() {
		return h.spotConsult(question)
	}
	var reply any // not answer, which is read while the turn may still come
	err = h.command(ctx, func() (err error) {
		reply, err = h.shell.consult(question)
		return err
	})
	if err != nil {
		return nil, err
	}
	return reply, nil
}

// spotConsult is Consult in the turn that the caller has entered.
func (h *Handle) spotConsult(question any) (answer any, err error) {
	s := h.shell
	done := false
	defer func() {
		if done {
			s.mailbox.Exit()
			return
		}
		answer, err = nil, &s.refusals().failed
		s.broken.failing = true
		s.mailbox.Crashed(recover(), Consult{})
	}()
	answer, err = s.consult(question)
	done = true
	return answer, err
}

func (s *shell) consult(question any) (any, error) {
	if s.crashes != nil {
		s.crashes.before(Consult{})
	}
	switch {
	case s.closing:
		return nil, &s.refusals().stopped
	case s.consultant == nil:
		return nil, ErrUnsupported
	}
	now := s.now()
	if s.waiters.count > 0 {
		s.follow(question)
	}
	c := s.consultant.Consult(now, question)
	if c.Answer == nil && c.Err == nil {
		c.Err = ErrUnsupported
	}
	granted, rejected := uint64(max(0, c.Granted)), uint64(max(0, c.Rejected))
	s.counts.Asked += granted + rejected
	s.counts.Granted += granted
	s.counts.Success += granted
	s.counts.Rejected += rejected
	if s.crashes != nil {
		s.crashes.after(Consult{})
	}
	switch {
	case c.Freed:
		s.freed(c.Dirty)
	case c.Dirty:
		s.settle()
	}
	return c.Answer, c.Err
}

// follow tells the rules who waits before the question.
func (s *shell) follow(question any) {
	f, ok := s.consultant.(Follower)
	if !ok {
		return
	}
	r := patterns.Request{}
	if q, ok := question.(Addressed); ok {
		r.Key = q.ShardKey()
	}
	f.Behind(s.waiters.view(&r))
}
