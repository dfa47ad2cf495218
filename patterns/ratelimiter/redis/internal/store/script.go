package store

import (
	"context"
	"crypto/sha1" //nolint:gosec // it is how Redis names a script
	_ "embed"
	"encoding/hex"

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
// other. A call is made once more, with the text of the script, if its script was not known,
// or if the server has become a replica: the client has left it, and may find its master.
func (s *Store) ask(ctx context.Context, p *plan) {
	s.send(ctx, p, p.calls)
	var again []call
	for i := range p.calls {
		if c := &p.calls[i]; notThere(c.err) {
			c.args[0], c.args[1] = "eval", s.script.text
			again = append(again, *c)
		}
	}
	if again == nil {
		return
	}
	s.send(ctx, p, again)
	for i, j := 0, 0; i < len(p.calls); i++ {
		if c := &p.calls[i]; notThere(c.err) {
			*c = again[j]
			j++
		}
	}
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
