package mailbox

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// numbered is a message that counts what becomes of it.
type numbered struct {
	storm      *storm
	sender, no int
}

func (n numbered) Refused(error) any {
	n.storm.ended[n.sender][n.no].Add(1)
	return nil
}

func (n numbered) GetPriority() int8 { return int8(n.sender % 3) }

// storm is an actor, as far as a mailbox sees, that many send to.
type storm struct {
	t     *testing.T
	ended [][]atomic.Int32 // how often each message was served or refused
	last  []int            // the last one served, of each sender
	newer bool             // the newest may be first
}

func (s *storm) InvokeSystemMessage(any)  {}
func (s *storm) EscalateFailure(any, any) {}
func (s *storm) InvokeUserMessage(msg any) {
	n, ok := actor.UnwrapEnvelopeMessage(msg).(numbered)
	if !ok {
		return
	}
	n.storm.ended[n.sender][n.no].Add(1)
	if n.no <= s.last[n.sender] && !s.newer {
		s.t.Errorf("%d of sender %d was served after %d", n.no, n.sender, s.last[n.sender])
	}
	s.last[n.sender] = n.no
}

// Senders race with pauses, gates, a full mailbox, deadlines and an end: every message is
// served or refused, once, and each sender's in order.
func TestEveryMessageEndsOnceAndInOrderWhateverHappens(t *testing.T) {
	for name, opts := range map[string][]Option{
		"plain":       {Capacity(50)},
		"inline":      {Capacity(50), Inline()},
		"oldest":      {Capacity(50), OnFull(DropOldest), TTL(time.Millisecond)},
		"lanes":       {Capacity(50), OnFull(DropLowest), Lanes(Priority, 1, 2, 4), WaterMarks(10, 40)},
		"block":       {Capacity(50), OnFull(Block), Inline(), Sojourn(time.Millisecond)},
		"newest":      {Capacity(500), CoDel(time.Microsecond, 50*time.Microsecond), NewestFirst()},
		"everything":  {Capacity(50), OnFull(DropLowest), Lanes(Priority, 1, 2, 4), WaterMarks(0, 1), TTL(time.Millisecond), CoDel(time.Microsecond, time.Millisecond)},
		"no one full": {Capacity(1 << 20)},
	} {
		t.Run(name, func(t *testing.T) {
			const senders = 6
			each := soak(2000, 200_000)
			s := &storm{t: t, last: make([]int, senders), newer: name == "newest"}
			for i := range senders {
				s.ended = append(s.ended, make([]atomic.Int32, each))
				s.last[i] = -1
			}
			m := MustNew(opts...)().(*Combining)
			goroutines := &counted{}
			m.RegisterHandlers(s, goroutines)
			m.Start()
			var all, others sync.WaitGroup
			var over atomic.Bool
			for i := range senders {
				all.Go(func() {
					for no := range each {
						var msg any = numbered{s, i, no}
						if no%3 == 0 {
							msg = &actor.MessageEnvelope{Message: msg}
						}
						m.PostUserMessage(msg)
					}
				})
			}
			others.Go(func() {
				for i := 0; !over.Load(); i++ {
					m.PostSystemMessage(&actor.SuspendMailbox{})
					m.word.Or(paused)
					m.PostSystemMessage(Gate{Refuse: errShut, Pass: i % 4})
					m.PostSystemMessage(&actor.ResumeMailbox{})
					m.word.And(^paused)
					m.announce(0)
					m.PostSystemMessage(Gate{})
					for range 100 {
						runtime.Gosched()
					}
				}
			})
			all.Wait()
			over.Store(true)
			others.Wait()
			m.word.Or(closed)
			m.user.reshut()
			m.PostSystemMessage(purge{})
			goroutines.Wait()
			for i := range senders {
				for no := range each {
					if n := s.ended[i][no].Load(); n != 1 {
						t.Fatalf("message %d of sender %d ended %d times", no, i, n)
					}
				}
			}
			if n := m.UserMessageCount(); n != 0 {
				t.Errorf("%d are counted as queued", n)
			}
		})
	}
}
