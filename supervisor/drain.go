package supervisor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/supervisor/rules"
)

// DrainGrace is how much longer than its context Drain takes at most, to see who obeys
// an order to stop at once.
const DrainGrace = time.Second

// DrainError says what a drain could not do in good order.
type DrainError struct {
	// Stopped is how many actors stopped after they had served what they had.
	Stopped int
	// Forced are the ids of those that were stopped before: they were suspended, or the
	// time was over. What they had queued was not served.
	Forced []string
	// Left are the ids of those that have not stopped.
	Left []string
	// Cause is the context's error, or nil if time was not what was missing.
	Cause error
}

// Error says how many of each.
func (e *DrainError) Error() string {
	msg := fmt.Sprintf("drained %d actors, forced %d to stop", e.Stopped, len(e.Forced))
	if len(e.Left) > 0 {
		msg += fmt.Sprintf(", %d are left: %s", len(e.Left), strings.Join(e.Left, ", "))
	}
	if e.Cause != nil {
		msg += ": " + e.Cause.Error()
	}
	return msg
}

// Unwrap returns the context's error.
func (e *DrainError) Unwrap() error { return e.Cause }

// Drain stops an actor and everything below it in good order: children before their
// parent, each after it has served what is in its mailbox. Children of one parent stop
// together, but under rest for one the last first, one after the other, because each
// may need those before it; see Spec.Shutdown. From its beginning, nobody below is
// restarted.
//
// When ctx ends, whoever is left is stopped at once. If not everybody stopped in good
// order, the error is a *DrainError, which says who did not. Drain must not be called
// in the turn of an actor that it stops.
func Drain(ctx context.Context, system *actor.ActorSystem, top *actor.PID) error {
	d := &drain{system: system, top: top.GetId(), ends: make(chan end), plans: map[string]plan{}}
	d.run(ctx)
	if len(d.report.Forced) == 0 && len(d.report.Left) == 0 {
		return nil
	}
	return &d.report
}

// drain is one of them.
type drain struct {
	system *actor.ActorSystem
	top    string
	ends   chan end
	plans  map[string]plan // by the id of a supervising actor
	report DrainError
}

// plan is what a supervising actor knows of how its children are to stop.
type plan struct {
	spec     *Spec
	scope    Scope
	children []string // ids, in the order that they were spawned in
}

// end is how an actor ended.
type end struct {
	id     string
	forced bool
}

// house is an actor to be drained, with what is below it.
type house struct {
	id       string
	children []*house
	one      bool          // children stop one after the other
	within   time.Duration // what it may take, or 0
	at       bool          // it is stopped at once
}

func (d *drain) run(ctx context.Context) {
	forced := d.leave(ctx)
	ended := map[string]bool{} // and whether by force
	var collect sync.WaitGroup
	collect.Go(func() {
		for e := range d.ends {
			ended[e.id] = ended[e.id] || e.forced
		}
	})
	for _, id := range forced {
		d.ends <- end{id, true}
	}
	if top := d.survey(); top != nil {
		d.clear(ctx, top)
	}
	close(d.ends)
	collect.Wait()
	d.finish(ctx, ended)
}

// finish stops whoever is left at once, and writes the report.
func (d *drain) finish(ctx context.Context, ended map[string]bool) {
	if left := d.alive(); len(left) > 0 {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), DrainGrace)
		defer cancel()
		var all []*watch
		for _, id := range left {
			ended[id] = true
			all = append(all, d.watch(id))
		}
		d.system.Root.Stop(d.system.NewLocalPID(d.top))
		for _, w := range all {
			w.await(grace)
		}
	}
	d.report.Left = d.alive()
	for _, id := range d.report.Left {
		delete(ended, id)
	}
	for _, id := range slices.Sorted(maps.Keys(ended)) {
		if ended[id] {
			d.report.Forced = append(d.report.Forced, id)
		} else {
			d.report.Stopped++
		}
	}
	if len(d.report.Forced)+len(d.report.Left) > 0 {
		d.report.Cause = ctx.Err()
	}
}

// leave tells every supervising actor below not to restart anybody any more, and the
// one above that this one stays away. It returns the ids of those that were suspended,
// which are stopped.
func (d *drain) leave(ctx context.Context) (forced []string) {
	type answer struct {
		id   string
		plan plan
		away []string
	}
	found := nodes(d.system, d.top)
	answers := make(chan answer, len(found)+1)
	for _, n := range found {
		n.order(func() {
			a := answer{id: n.self.Id, plan: plan{spec: n.strategy.spec, scope: n.machine.Config().Scope}}
			n.machine.Children(func(s rules.Status) {
				id := n.members[s.Child].pid.Id
				a.plan.children = append(a.plan.children, id)
				if away(s) {
					a.away = append(a.away, id)
				}
			})
			n.machine.Leave(n.now())
			answers <- a
		}, func() { answers <- answer{} })
	}
	expected := len(found)
	if n := supervisorOf(d.system, d.top); n != nil {
		expected++
		n.order(func() {
			var a answer
			if m := n.byName[d.top]; m != nil {
				if s, _ := n.machine.Status(m.id); away(s) {
					a.away = []string{d.top}
				}
				n.machine.Retire(n.now(), m.id)
			}
			answers <- a
		}, func() { answers <- answer{} })
	}
	for range expected {
		select {
		case a := <-answers:
			forced = append(forced, a.away...)
			d.plans[a.id] = a.plan
		case <-ctx.Done():
			return forced
		}
	}
	return forced
}

// away reports whether a child is suspended.
func away(s rules.Status) bool {
	return s.State != Running && s.State != HalfOpen && s.State != Stopping
}

// alive returns the ids of the actors at and below top.
func (d *drain) alive() (ids []string) {
	eachProcess(d.system, func(id string, p any) {
		if _, ok := p.(*actor.ActorProcess); ok && (id == d.top || strings.HasPrefix(id, d.top+"/")) {
			ids = append(ids, id)
		}
	})
	slices.Sort(ids)
	return ids
}

// survey finds out who is below whom.
func (d *drain) survey() *house {
	byID := map[string]*house{}
	ids := d.alive()
	for _, id := range ids {
		byID[id] = &house{id: id}
	}
	for _, id := range ids {
		for end := strings.LastIndexByte(id, '/'); end > 0; end = strings.LastIndexByte(id[:end], '/') {
			if parent := byID[id[:end]]; parent != nil {
				parent.children = append(parent.children, byID[id])
				break
			}
		}
	}
	for id, p := range d.plans {
		if h := byID[id]; h != nil {
			h.arrange(p)
		}
	}
	return byID[d.top]
}

// arrange puts the children of h in the order that they are to stop in.
func (h *house) arrange(p plan) {
	order := p.spec.order()
	h.one = order == LastFirst || order == ByScope && p.scope == Rest
	place := map[string]int{}
	for i, id := range p.children {
		place[id] = i + 1
	}
	slices.SortStableFunc(h.children, func(a, b *house) int { return place[b.id] - place[a.id] })
	for _, c := range h.children {
		c.within, c.at = p.spec.within(strings.TrimPrefix(c.id, h.id+"/"))
	}
}

// clear drains h, children first.
func (d *drain) clear(ctx context.Context, h *house) {
	if h.at {
		d.force(ctx, h)
		return
	}
	inner := ctx
	if h.within > 0 {
		limited, cancel := context.WithTimeout(ctx, h.within)
		defer cancel()
		inner = limited
	}
	if h.one {
		for _, c := range h.children {
			d.clear(inner, c)
		}
	} else {
		var all sync.WaitGroup
		for _, c := range h.children {
			all.Go(func() { d.clear(inner, c) })
		}
		all.Wait()
	}
	if inner.Err() == nil {
		d.poison(inner, h.id)
	}
	if inner.Err() != nil && ctx.Err() == nil { // its own time is over, but not all
		d.force(ctx, h)
	}
}

// poison stops an actor once it has served what it has.
func (d *drain) poison(ctx context.Context, id string) {
	w := d.watch(id)
	if w == nil {
		return
	}
	w.process.SendUserMessage(w.who, &actor.PoisonPill{})
	if w.await(ctx) {
		d.ends <- end{id, false}
	}
}

// force stops h and what is below it at once.
func (d *drain) force(ctx context.Context, h *house) {
	var all []*watch
	h.each(func(id string) {
		if w := d.watch(id); w != nil {
			d.ends <- end{id, true}
			all = append(all, w)
		}
	})
	d.system.Root.Stop(d.system.NewLocalPID(h.id))
	for _, w := range all {
		w.await(ctx)
	}
}

func (h *house) each(f func(id string)) {
	f(h.id)
	for _, c := range h.children {
		c.each(f)
	}
}

// watch is a process that is told when an actor has stopped.
type watch struct {
	system  *actor.ActorSystem
	who     *actor.PID
	process actor.Process // of the actor
	self    *actor.PID
	ended   chan struct{}
}

// watch watches an actor; it returns nil if there is none.
func (d *drain) watch(id string) *watch {
	p, ok := d.system.ProcessRegistry.GetLocal(id)
	if !ok {
		return nil
	}
	w := &watch{system: d.system, who: d.system.NewLocalPID(id), process: p, ended: make(chan struct{}, 1)}
	w.self, _ = d.system.ProcessRegistry.Add(w, "drain"+d.system.ProcessRegistry.NextId())
	p.SendSystemMessage(w.who, &actor.Watch{Watcher: w.self})
	return w
}

// stoppingPoll is how often an actor is looked at that was stopping already: who watches
// it is told at once, and not once more when it has stopped.
const stoppingPoll = 5 * time.Millisecond

// await waits until the actor has stopped, or ctx ends. It is called once.
func (w *watch) await(ctx context.Context) (stopped bool) {
	if w == nil {
		return true
	}
	defer w.system.ProcessRegistry.Remove(w.self)
	select {
	case <-w.ended:
	case <-ctx.Done():
		return false
	}
	for {
		if p, ok := w.system.ProcessRegistry.GetLocal(w.who.Id); !ok || p != w.process {
			return true
		}
		select {
		case <-time.After(stoppingPoll):
		case <-ctx.Done():
			return false
		}
	}
}

// SendUserMessage ignores the message.
func (w *watch) SendUserMessage(*actor.PID, any) {}

// SendSystemMessage takes a Terminated.
func (w *watch) SendSystemMessage(_ *actor.PID, msg any) {
	if _, ok := msg.(*actor.Terminated); ok {
		select {
		case w.ended <- struct{}{}:
		default:
		}
	}
}

// Stop does nothing.
func (w *watch) Stop(*actor.PID) {}
