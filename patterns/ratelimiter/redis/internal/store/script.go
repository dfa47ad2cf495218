package store

import (
	"context"
	"crypto/sha1" //nolint:gosec // it is how Redis names a script
	_ "embed"
	"encoding/hex"
	"errors"

	"github.com/redis/go-redis/v9"
)

//go:embed bucket.lua
var bucketText string

//go:embed log.lua
var logText string

type script struct {
	text, sum string
	more      []any // arguments of tests
}

func newScript(text string) *script {
	sum := sha1.Sum([]byte(text)) //nolint:gosec // see above
	return &script{text: text, sum: hex.EncodeToString(sum[:])}
}

// once is a command that the client never sends again, because it may have run. Where a
// server says that it has not, as with MOVED, the client still goes to the right one.
type once struct{ *redis.StringCmd }

func (once) NoRetry() bool { return true }

// ask makes the calls of p: all at the same time, and those to one server one after the
// other. What a server said that it has not run is asked for once more: with the text of the
// script, if the script was not known, or if the server has become a replica: the client has
// left it, and may find its master; and each key by itself, if some of their slot are on the
// way to another server and some are not.
func (s *Store) ask(ctx context.Context, p *plan, checks []Check) {
	s.send(ctx, p, p.calls)
	if s.divide(p, checks) {
		s.sendAgain(ctx, p, func(c *call) bool { return c.err == errDivided }) //nolint:errorlint // the same value
	}
	s.sendAgain(ctx, p, func(c *call) bool {
		if !notThere(c.err) {
			return false
		}
		c.args[0], c.args[1] = "eval", s.script.text
		return true
	})
}

// sendAgain sends those calls of p for which it is due.
func (s *Store) sendAgain(ctx context.Context, p *plan, due func(*call) bool) {
	var again []call
	var at []int
	for i := range p.calls {
		if due(&p.calls[i]) {
			again, at = append(again, p.calls[i]), append(at, i)
		}
	}
	s.send(ctx, p, again)
	for j, i := range at {
		p.calls[i] = again[j]
	}
}

// errDivided is of calls that were not sent yet.
var errDivided = errors.New("not sent")

// divide puts calls of one key each in the place of those that a slot on its way has kept from
// running, and reports whether there are any.
func (s *Store) divide(p *plan, checks []Check) (divided bool) {
	for i := range p.calls {
		from, to, err := p.calls[i].from, p.calls[i].to, p.calls[i].err
		if to-from == 1 || err == nil || classify(err) != TryAgain {
			continue
		}
		first := len(p.calls)
		for at := from; at < to; at++ {
			p.call(s, at, at+1, checks)
			p.calls[len(p.calls)-1].err = errDivided
		}
		p.calls[i] = p.calls[first]
		p.calls = append(p.calls[:first], p.calls[first+1:]...)
		divided = true
	}
	return divided
}

// notThere reports whether the script did not run for a reason that a second call has not.
func notThere(err error) bool {
	if err == nil {
		return false
	}
	class := classify(err)
	return class == NoScript || class == ReadOnly
}

func (s *Store) send(ctx context.Context, p *plan, calls []call) {
	if len(calls) == 1 {
		cmd := once{redis.NewStringCmd(ctx, calls[0].args...)}
		err := s.client.Process(ctx, cmd)
		calls[0].reply, calls[0].err = cmd.Val(), err
		return
	}
	if len(calls) == 0 {
		return
	}
	pipe := s.client.Pipeline()
	p.commands = p.commands[:0]
	for i := range calls {
		cmd := once{redis.NewStringCmd(ctx, calls[i].args...)}
		p.commands = append(p.commands, cmd)
		_ = pipe.Process(ctx, cmd)
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	for i, cmd := range p.commands {
		calls[i].reply, calls[i].err = cmd.Result()
	}
}
