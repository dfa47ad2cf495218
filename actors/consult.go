package actors

import (
	"context"
	"errors"

	"github.com/bulwark-go/bulwark/mailbox"
	"github.com/bulwark-go/bulwark/patterns"
)

// Consult asks the guard's rules a question of the pattern's own and returns the answer.
// The error is what the rules say, ErrUnsupported if they do not know the question, ctx's,
// or a *Refusal if the guard has stopped.
func (h *Handle) Consult(ctx context.Context, question any) (answer any, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if h.shell.errands != nil {
		return h.inquire(ctx, question)
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
	c := s.consultRules(question)
	return c.Answer, c.Err
}

// consultRules asks the rules, and does what follows from the answer.
func (s *shell) consultRules(question any) patterns.Consultation {
	now := s.now()
	if s.waiters.count > 0 {
		s.follow(question)
	}
	c := s.consultant.Consult(now, question)
	if !c.Refer {
		s.tally(&c)
	}
	return c
}

// tally counts what an answer decided.
func (s *shell) tally(c *patterns.Consultation) {
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
}

// inquire is Consult where the answer may be elsewhere. The question takes its turn among
// the requests.
func (h *Handle) inquire(ctx context.Context, question any) (answer any, err error) {
	c := newCall().(*call)
	c.kind, c.question = callConsult, question
	if err := h.post(ctx, c); err != nil {
		if errors.Is(err, mailbox.ErrStopped) {
			return nil, h.gone()
		}
		return nil, h.shell.refusals().of(err)
	}
	switch {
	case !c.await(ctx, h.spin):
		h.withdraw(c)
		return nil, ctx.Err()
	case errors.Is(c.err, ErrStopped):
		return nil, h.gone()
	}
	return c.reply, c.err
}

// inquiry answers a question, or has the answer fetched.
func (s *shell) inquiry(c *call) {
	s.current = c
	if s.crashes != nil {
		s.crashes.before(Consult{})
	}
	switch {
	case s.closing:
		s.refuse(c, &s.refusals().stopped)
	case s.consultant == nil:
		s.refuse(c, ErrUnsupported)
	default:
		if answer := s.consultRules(c.question); answer.Refer {
			s.refer(c)
		} else {
			s.inform(c, &answer)
		}
	}
	s.current = nil
}

// inform answers a question.
func (s *shell) inform(c *call, answer *patterns.Consultation) {
	switch {
	case answer.Err != nil:
		s.refuse(c, answer.Err)
	case c.sender != nil:
		s.reply(c.sender, answer.Answer)
	default:
		c.reply = answer.Answer
		c.answer(0, nil)
	}
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

// refuseQuestion is refuse for a question, which nobody counts.
func (s *shell) refuseQuestion(c *call, err error) {
	if c.sender != nil {
		s.reply(c.sender, Refused{Err: err})
		return
	}
	c.answer(0, err)
}
