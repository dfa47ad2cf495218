package retry

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/delay"
)

// Around implements patterns.Policy.
func (r *Retry) Around(ctx context.Context, call patterns.Call) error {
	if err := r.Absent(); err != nil {
		return err
	}
	began := r.begin()
	ended := false
	defer func() {
		if !ended {
			r.Unwound()
		}
	}()
	err := call.Try(ctx)
	if err == nil && r.judge == nil {
		ended = true
		r.Passed()
		return nil
	}
	err = r.GoOn(ctx, began, call, err)
	ended = true
	return err
}

// Begin implements patterns.Optimist.
func (r *Retry) Begin(context.Context) (began time.Time, ok bool) {
	if r.judge != nil || r.Gone() { // a Judge may have something against the result
		return began, false
	}
	return r.begin(), true
}

func (r *Retry) begin() (began time.Time) {
	c := r.config()
	if c.Budget != nil {
		c.Budget.Count()
	}
	if c.MaxElapsed > 0 {
		began = time.Now()
	}
	return began
}

// Passed implements patterns.Optimist.
func (r *Retry) Passed() { r.tallies.Add(kindFirst) }

// Unwound implements patterns.Optimist.
func (r *Retry) Unwound() { r.tallies.Add(kindPanicked) }

func (r *Retry) config() *Config { return r.Plan().(*Config) }

// course is a call whose first attempt was made, and did not simply succeed.
type course struct {
	*Retry
	ctx      context.Context
	call     patterns.Call
	began    time.Time
	attempts int
	ran      bool  // one of them called the function
	last     error // of the latest that did; of the latest if none did
	refusal  error // of the latest, if another did
	over     error // the caller's context's
	delays   [MaxOverrides + 1]delay.Course
}

// GoOn implements patterns.Optimist: it judges the first attempt and makes the others.
func (r *Retry) GoOn(ctx context.Context, began time.Time, call patterns.Call, err error) error {
	s := course{Retry: r, ctx: ctx, call: call, began: began, attempts: 1}
	for {
		c := r.config()
		end, cause := s.judgeAttempt(c, err)
		if end != kindExhausted {
			r.tallies.Add(end)
			return err
		}
		if cause == "" {
			cause = s.wait(c)
		}
		if cause != "" {
			return s.giveUp(c, cause, err)
		}
		s.attempts++
		r.tallies.Add(kindRetries)
		err = call.Try(ctx)
	}
}

// judgeAttempt returns how the call ended by its latest attempt: kindExhausted if that
// failed, and then why it cannot be made again, if that is so already.
func (s *course) judgeAttempt(c *Config, err error) (end int, cause Cause) {
	again := c.RetryRejected && passing(err)
	rejected := errors.Is(err, patterns.ErrRejected)
	if rejected && !s.call.Began() {
		s.refusal = err
		switch {
		case !s.ran && !again:
			return kindPassed, ""
		case !s.ran:
			s.last, s.refusal = err, nil
		case !again:
			return kindExhausted, CauseRefused
		}
		return kindExhausted, ""
	}
	s.ran = s.ran || s.call.Began()
	s.last, s.refusal = err, nil
	switch patterns.JudgeCall(s.ctx, s.judge, s.call, err) {
	case patterns.Success:
		if s.attempts == 1 {
			return kindFirst, ""
		}
		return kindLater, ""
	case patterns.Ignored:
		if !rejected || !again {
			return kindPassed, ""
		}
	}
	cancelled := errors.Is(err, context.Canceled) && errors.Is(s.ctx.Err(), context.Canceled)
	if cancelled || errors.Is(err, patterns.ErrFinal) { // whatever the Judge says
		return kindPassed, ""
	}
	if err == nil {
		s.last = ErrBadResult
	}
	return kindExhausted, ""
}

// passing reports whether what was refused may be granted later.
func passing(err error) bool {
	return !errors.Is(err, patterns.ErrInvalidRequest) && !errors.Is(err, actors.ErrStopped)
}

// wait waits until the next attempt is to be made, and returns why it is not.
func (s *course) wait(c *Config) Cause {
	rule := c.ruleFor(s.failure())
	if s.attempts >= rule.attempts {
		return CauseAttempts
	}
	if cause := s.left(); cause != "" {
		return cause
	}
	d := rule.backoff.Next(&s.delays[rule.course], rand.Float64())
	if pause, ok := patterns.RetryAfter(s.failure()); ok && !c.IgnoreRetryAfter {
		d = delay.Asked(d, min(pause, c.MaxRetryAfter), rand.Float64())
	}
	if cause := s.fits(c, d); cause != "" {
		return cause
	}
	if c.Budget != nil && !c.Budget.Allow(s.ctx) {
		if cause := s.left(); cause != "" {
			return cause
		}
		return CauseBudget
	}
	if stopped(c, s.Tell(retried{attempt: s.attempts, wait: d, err: text(s.failure())})) {
		return CauseStopped
	}
	if d > 0 {
		s.sleep(d)
	}
	return s.left()
}

// failure is the error of the latest attempt, made or refused.
func (s *course) failure() error {
	if s.refusal != nil {
		return s.refusal
	}
	return s.last
}

// left returns how the caller's context ended, if it did.
func (s *course) left() Cause {
	s.over = s.ctx.Err()
	switch {
	case s.over == nil:
		return ""
	case errors.Is(s.over, context.DeadlineExceeded):
		return CauseDeadline
	}
	return CauseCancelled
}

// fits returns why there is no time to wait for d, and sets when the call began if nobody
// has.
func (s *course) fits(c *Config, d time.Duration) Cause {
	now := s.clock()
	if c.MaxElapsed > 0 && d >= c.MaxElapsed-now.Sub(s.began) {
		return CauseElapsed
	}
	if by, ok := s.ctx.Deadline(); ok && d >= by.Sub(now) {
		return CauseDeadline
	}
	return ""
}

// clock reads the time, which is when the call began if nobody looked before.
func (s *course) clock() time.Time {
	now := time.Now()
	if s.began.IsZero() {
		s.began = now
	}
	return now
}

// sleep returns after d, or as the caller's context ends.
func (s *course) sleep(d time.Duration) {
	since := time.Now()
	timer := time.NewTimer(d)
	select {
	case <-timer.C:
	case <-s.ctx.Done():
		timer.Stop()
	}
	s.tallies.AddN(kindWaited, uint64(time.Since(since)))
}

// stopped reports whether err, the actor's answer, means that nothing is to be retried.
func stopped(c *Config, err error) bool {
	switch {
	case err == nil:
		return false
	case errors.Is(err, actors.ErrStopped):
		return true
	}
	return c.OnFailure == patterns.FailClosed && errors.Is(err, actors.ErrUnavailable)
}

// giveUp returns what the caller gets of a call whose latest attempt failed with err.
func (s *course) giveUp(c *Config, cause Cause, err error) error {
	now := s.clock()
	e := &ExhaustedError{
		Name: s.Name(), Cause: cause, Attempts: s.attempts, Elapsed: now.Sub(s.began), Last: s.last, By: s.over,
	}
	if e.By == nil {
		e.By = s.refusal
	}
	s.tallies.Add(kindExhausted + cause.index())
	_ = s.Tell(exhausted{cause: cause, attempts: e.Attempts, elapsed: e.Elapsed, err: text(e.Last)})
	if cause == CauseAttempts && s.attempts == 1 && err != nil {
		return err // there is nothing to add
	}
	return e
}

// maxText is how much of an error is told.
const maxText = 256

// text returns what err says. It is asked here, and not in the actor's turn, because it is
// foreign code.
func text(err error) (s string) {
	defer func() {
		if recover() != nil {
			s = fmt.Sprintf("%T, which panics", err)
		}
	}()
	s = err.Error()
	if len(s) > maxText {
		s = s[:maxText]
	}
	return s
}
