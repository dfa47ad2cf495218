package mailbox

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// The conservation test lets many posters use every entry of a mailbox at once, while
// the actor panics, restarts and is stopped, and checks that every request ends exactly
// once: it is handled, refused, or a dead letter. Turns touch plain memory only, so that
// the race detector sees it if two of them ever overlap.

const (
	posters = 16
	window  = 24 // requests of one poster that may be under way
)

type entry int

const (
	bySpot       entry = iota // TryEnter, and otherwise Post
	byNode                    // Post, Ordinary
	byUrgentNode              // Post, Urgent
	byUser                    // proto.actor's Send
	byUrgentUser              // the same, Urgent
	byRequest                 // proto.actor's Request, with a process as the sender
	entries
)

// request is what is posted. It is used again as soon as it has ended.
type request struct {
	node   Node
	poster int
	seq    int // of its poster
	entry  entry
	fails  byte // 'p' panics, 'x' exits the goroutine
	ended  atomic.Int32
	done   chan struct{}
	run    *run
}

func (r *request) Lane() Lane {
	if r.entry == byUrgentNode || r.entry == byUrgentUser {
		return Urgent
	}
	return Ordinary
}

// Refused is for requests that are ordinary messages.
func (r *request) Refused(reason error) any {
	r.run.refused.Add(1)
	if r.entry == byRequest {
		return refusal{r, reason}
	}
	r.end()
	return nil
}

type refusal struct {
	*request
	reason error
}

// end says that the request has got its only answer.
func (r *request) end() {
	if r.ended.Add(1) != 1 {
		r.run.fault("request %d of poster %d ended twice", r.seq, r.poster)
		return
	}
	r.run.ended.Add(1)
	r.done <- struct{}{}
}

// run is one actor's life under load.
type run struct {
	t      *testing.T
	m      *Combining
	system *actor.ActorSystem
	pid    *actor.PID
	left   atomic.Int64 // requests to post
	exits  bool

	// Owned by the turn.
	inTurn  bool
	last    [posters][2]int
	handled int

	posted, ended, refused, cancelled, starts, dead atomic.Int64
	faults                                          atomic.Int32
}

func (r *run) fault(format string, args ...any) {
	if r.faults.Add(1) < 10 {
		r.t.Errorf(format, args...)
	}
}

// handle is every turn. It ends the request, unless it fails before.
func (r *run) handle(q *request) {
	if r.inTurn {
		r.fault("two turns at once")
	}
	r.inTurn = true
	last := &r.last[q.poster][q.Lane()]
	if q.seq <= *last {
		r.fault("poster %d: request %d after %d", q.poster, q.seq, *last)
	}
	*last = q.seq
	r.handled++
	r.inTurn = false
	switch q.fails {
	case 'p':
		panic("ouch")
	case 'x':
		runtime.Goexit()
	}
}

// Turn, Refuse and After make a run the Handler of its mailbox.
func (r *run) Turn(n *Node) {
	q := n.Value().(*request)
	r.handle(q)
	r.m.After()
	q.end()
}

func (r *run) Refuse(n *Node, _ error) {
	r.refused.Add(1)
	n.Value().(*request).end()
}

func (r *run) After() {}

// Receive makes a run the state behind all incarnations of its actor.
func (r *run) Receive(c actor.Context) {
	switch msg := c.Message().(type) {
	case *actor.Started:
		r.starts.Add(1)
	case *request:
		r.handle(msg)
		if msg.entry == byRequest {
			c.Respond(msg)
		} else {
			msg.end()
		}
	}
}

// SendUserMessage and its like make a run the process that asks for byRequest.
func (r *run) SendUserMessage(_ *actor.PID, msg any) {
	switch msg := actor.UnwrapEnvelopeMessage(msg).(type) {
	case *request:
		msg.end()
	case refusal:
		msg.end()
	case *actor.DeadLetterResponse: // its DeadLetterEvent ends it
	default:
		r.fault("answer %T", msg)
	}
}
func (r *run) SendSystemMessage(*actor.PID, any) {}
func (r *run) Stop(*actor.PID)                   {}

// spot runs a request in a turn of the caller's.
func (r *run) spot(q *request) (entered bool) {
	if !r.m.TryEnter() {
		return false
	}
	done := false
	defer func() {
		entered = true
		if !done {
			reason := recover()
			q.end()
			r.m.Crashed(reason, "spot")
			return
		}
		q.end()
		r.m.Exit() // which does not return if what it serves exits the goroutine
	}()
	r.handle(q)
	done = true
	return entered
}

func (r *run) post(q *request, sender *actor.PID) {
	switch q.entry {
	case bySpot, byNode, byUrgentNode:
		if q.entry == bySpot && r.spot(q) {
			return
		}
		if err := r.m.Post(&q.node, q.Lane()); err != nil {
			r.refused.Add(1)
			q.end()
		}
	case byUser, byUrgentUser:
		r.system.Root.Send(r.pid, q)
	case byRequest:
		r.system.Root.RequestWithCustomSender(r.pid, q, sender)
	}
}

// poster posts requests until there are none left, and waits for all of its own.
func (r *run) poster(id int, sender *actor.PID) {
	rng := rand.New(rand.NewPCG(uint64(id), 1))
	ring := make([]*request, window)
	fresh := func() *request {
		q := &request{poster: id, done: make(chan struct{}, 1), run: r}
		q.node.Init(q)
		q.done <- struct{}{}
		return q
	}
	for i := range ring {
		ring[i] = fresh()
	}
	seq := 0
	for r.left.Add(-1) >= 0 {
		seq++
		q := ring[seq%window]
		select {
		case <-q.done:
		default:
			if rng.IntN(8) == 0 { // its requester does not wait any longer
				r.cancelled.Add(1)
				q = fresh()
				ring[seq%window] = q
			}
			<-q.done
		}
		q.seq, q.entry, q.fails = seq, entry(rng.IntN(int(entries))), 0
		q.ended.Store(0)
		r.posted.Add(1)
		switch n := rng.IntN(2000); {
		case n == 0:
			q.fails = 'p'
		case n == 1 && r.exits:
			q.fails = 'x'
		}
		if r.exits {
			onGoroutine(func() { r.post(q, sender) })
		} else {
			r.post(q, sender)
		}
		if rng.IntN(64) == 0 {
			runtime.Gosched()
		}
	}
	for _, q := range ring {
		<-q.done
	}
}

func (r *run) start(cfg Config, dispatcher actor.Dispatcher, restarts actor.SupervisorStrategy) {
	cfg.Handler = r
	props := actor.PropsFromProducer(func() actor.Actor { return r }, actor.WithMailbox(func() actor.Mailbox {
		r.m = NewCombining(cfg)
		return r.m
	}), actor.WithDispatcher(dispatcher), actor.WithGuardian(restarts))
	r.pid = r.system.Root.Spawn(props)
}

// conserve runs total requests. Halfway, stop is called.
func conserve(t *testing.T, system *actor.ActorSystem, cfg Config, total int, exits bool, stop func(*run)) *run {
	t.Helper()
	r := &run{t: t, system: system, exits: exits}
	sub := system.EventStream.SubscribeWithPredicate(func(e any) {
		r.dead.Add(1)
		e.(*actor.DeadLetterEvent).Message.(*request).end()
	}, func(e any) bool {
		d, ok := e.(*actor.DeadLetterEvent)
		if !ok {
			return false
		}
		q, ok := d.Message.(*request)
		return ok && q.run == r
	})
	defer system.EventStream.Unsubscribe(sub)
	var turns counted
	r.start(cfg, &turns, actor.NewRestartingStrategy())
	sender, _ := system.ProcessRegistry.Add(r, "asker"+system.ProcessRegistry.NextId())
	defer system.ProcessRegistry.Remove(sender)

	half := total
	if stop != nil {
		half /= 2
	}
	var wg sync.WaitGroup
	for _, share := range []int{half, total - half} {
		r.left.Store(int64(share))
		for id := range posters {
			wg.Go(func() { r.poster(id, sender) })
		}
		if stop != nil && share == half {
			for r.left.Load() > int64(half/2) {
				runtime.Gosched()
			}
			stop(r) // while they post
		}
		hung(t, r, &wg)
		if stop == nil {
			break
		}
		turns.Wait()
		r.last = [posters][2]int{} // new posters, and nobody runs a turn
	}
	if stop == nil {
		stats := r.m.Stats()
		if stats.Depth != 0 || r.m.UserMessageCount() != 0 || stats.OldestAge != 0 {
			t.Errorf("left over: %+v", stats)
		}
		if dead := r.dead.Load(); dead != 0 || r.handled != total-int(stats.Refused) {
			t.Errorf("%d of %d handled, %d dead letters, %+v", r.handled, total, dead, stats)
		}
		if err := system.Root.StopFuture(r.pid).Wait(); err != nil {
			t.Error(err)
		}
	}
	turns.Wait()
	if posted, ended := r.posted.Load(), r.ended.Load(); posted != ended || posted != int64(total) {
		t.Errorf("%d posted, %d ended, want %d", posted, ended, total)
	}
	if got := r.m.UserMessageCount(); got != 0 {
		t.Errorf("%d are counted as queued", got)
	}
	return r
}

// hung waits for wg, and fails the test if that takes too long.
func hung(t *testing.T, r *run, wg *sync.WaitGroup) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(time.Duration(soak(60, 3600)) * time.Second):
		t.Fatalf("somebody was never answered: word %b, %d queued", r.m.word.Load(), r.m.depth.Load())
	}
}

var conservations = []struct {
	name  string
	exits bool
	stop  func(*run)
	share int // in percent of all messages
}{
	{"panics", false, nil, 60},
	{"panics and exits", true, nil, 12},
	{"stopped", false, func(r *run) { r.system.Root.Stop(r.pid) }, 10},
	{"poisoned", false, func(r *run) { r.system.Root.Poison(r.pid) }, 10},
	{"suspended, restarted, resumed", false, func(r *run) {
		p, _ := r.system.ProcessRegistry.Get(r.pid)
		for range 50 {
			p.SendSystemMessage(r.pid, &actor.SuspendMailbox{})
			runtime.Gosched()
			p.SendSystemMessage(r.pid, &actor.Restart{})
			p.SendSystemMessage(r.pid, &actor.ResumeMailbox{})
			r.m.Stats()
		}
		r.system.Root.Stop(r.pid)
	}, 8},
}

func TestEveryRequestEndsExactlyOnce(t *testing.T) {
	system := quietSystem()
	defer system.Shutdown()
	total := soak(300_000, 10_000_000)
	done, cancelled, dead, began := int64(0), int64(0), int64(0), time.Now()
	procs := []int{1, 2, 8}
	for _, p := range procs {
		for _, c := range conservations {
			for _, cfg := range []Config{{Inline: true, Budget: 64}, {Budget: 64}, {Inline: true, Capacity: 32}} {
				t.Run(fmt.Sprintf("%d procs/%s/inline %v, capacity %d", p, c.name, cfg.Inline, cfg.Capacity), func(t *testing.T) {
					withProcs(t, p)
					n := total*c.share/100/3/len(procs) + 1
					r := conserve(t, system, cfg, n, c.exits, c.stop)
					done += r.ended.Load()
					cancelled += r.cancelled.Load()
					dead += r.dead.Load()
					if r.starts.Load() < 2 && n > 20_000 && c.stop == nil {
						t.Errorf("%d incarnations", r.starts.Load())
					}
				})
			}
		}
	}
	if cancelled == 0 || dead == 0 {
		t.Errorf("%d cancelled, %d dead letters: that proves little", cancelled, dead)
	}
	t.Logf("%d requests, of which %d cancelled and %d dead letters, in %v", done, cancelled, dead, time.Since(began).Round(time.Millisecond))
}
