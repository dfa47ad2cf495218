package simulation

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

type job struct {
	arrived  patterns.Instant // first attempt
	asked    patterns.Instant // this attempt
	granted  patterns.Instant
	queued   patterns.Instant
	permit   patterns.PermitID
	slot     uint32
	mark     uint32
	class    uint8
	attempts uint8
	out      bool // holds a permit
	waiting  bool
	ticket   uint32 // of the place in the queue
	inside   bool   // queued or running in the service
	gone     bool   // its caller has left
}

const levels = int(patterns.Critical-patterns.Background) + 1

type world struct {
	Scenario
	limiter  Limiter
	queuer   Queuer // the limiter, if it is one
	now      patterns.Instant
	agenda   agenda
	arrivals *rand.Rand
	services *rand.Rand
	phase    int
	flow     uint32 // version of the arrival process
	workers  int
	busy     int
	jobs     []job
	free     []int32
	queue    fifo[int32] // in front of the workers
	waiters  waiters
	inFlight int
	slots    []uint32 // generation of each permit slot
	freeSlot []uint32
	armed    patterns.Instant
	request  patterns.Request
	result   *Result
}

// Run makes the experiment.
func Run(s Scenario, l Limiter) *Result {
	if len(s.Classes) == 0 {
		s.Classes = []Class{{Share: 1}}
	}
	queuer, _ := l.(Queuer)
	w := &world{
		queuer: queuer, Scenario: s, limiter: l, workers: s.Service.Workers, armed: patterns.Never,
		waiters:  waiters{lines: make([]fifo[ticket], levels*len(s.Classes)), turns: make([]uint64, len(s.Classes)), reminder: patterns.Never},
		arrivals: rand.New(rand.NewPCG(s.Seed, 1)), services: rand.New(rand.NewPCG(s.Seed, 2)),
		result: &Result{Classes: make([]Tally, len(s.Classes)), Scored: s.Last - s.Warm},
	}
	w.result.Bins = make([]uint32, s.Last/Bin+1)
	w.result.InFlight = make([]int32, s.Last/Bin+1)
	for i, p := range s.Phases {
		w.agenda.put(event{at: patterns.Instant(p.At), kind: phase, job: int32(i)})
	}
	for range s.Clients {
		w.think(w.newJob())
	}
	for len(w.agenda.events) > 0 {
		e := w.agenda.next()
		if e.at > patterns.Instant(s.Last) {
			break
		}
		w.now = e.at
		w.result.InFlight[int(time.Duration(e.at)/Bin)] = int32(w.inFlight)
		w.step(e)
		if at := w.limiter.Wake(); at < w.armed {
			w.armed = at
			w.agenda.put(event{at: max(at, w.now), kind: wake})
		}
	}
	return w.result
}

func (w *world) step(e event) {
	switch e.kind {
	case phase:
		w.phase = int(e.job)
		p := w.Phases[w.phase]
		w.workers = max(1, int(math.Round(float64(w.Service.Workers)*(1-p.Lost))))
		w.flow++
		w.scheduleArrival()
		w.serve()
	case arrive:
		if e.mark == w.flow {
			w.scheduleArrival()
			w.begin(w.newJob())
		}
	case again:
		if j := &w.jobs[e.job]; j.attempts == 0 {
			w.begin(e.job)
		} else {
			w.attempt(e.job)
		}
	case finish:
		w.finished(e.job)
	case leave:
		if w.jobs[e.job].mark == e.mark {
			w.left(e.job)
		}
	case expire:
		if w.jobs[e.job].mark == e.mark {
			w.expired(e.job)
		}
	case remind:
		if e.at == w.waiters.reminder {
			w.waiters.reminder = patterns.Never
			w.pump()
		}
	case wake:
		w.armed = patterns.Never
		w.limiter.Tick(w.now)
		w.pump()
	}
}

func (w *world) exp(mean float64) patterns.Instant {
	return patterns.Instant(w.arrivals.ExpFloat64() * mean)
}

func (w *world) scheduleArrival() {
	load := w.Phases[w.phase].Load
	if w.Clients > 0 || load <= 0 {
		return
	}
	mean := float64(time.Second) / (load * w.Service.Capacity())
	w.agenda.put(event{at: w.now + w.exp(mean), kind: arrive, mark: w.flow})
}

func (w *world) think(j int32) {
	w.agenda.put(event{at: w.now + w.exp(float64(w.Think)), kind: again, job: j})
}

func (w *world) newJob() int32 {
	if n := len(w.free); n > 0 {
		j := w.free[n-1]
		w.free = w.free[:n-1]
		return j
	}
	w.jobs = append(w.jobs, job{})
	return int32(len(w.jobs) - 1)
}

func (w *world) pickClass() uint8 {
	if len(w.Classes) == 1 {
		return 0
	}
	sum := 0.0
	for _, c := range w.Classes {
		sum += c.Share
	}
	x := w.arrivals.Float64() * sum
	for i, c := range w.Classes {
		if x -= c.Share; x < 0 {
			return uint8(i)
		}
	}
	return uint8(len(w.Classes) - 1)
}

// begin is a new call.
func (w *world) begin(i int32) {
	j := &w.jobs[i]
	*j = job{arrived: w.now, class: w.pickClass(), mark: j.mark + 1}
	w.tally(j, func(t *Tally) { t.Offered++ })
	w.attempt(i)
}

// attempt asks for a permit, as the shell does for a caller.
func (w *world) attempt(i int32) {
	j := &w.jobs[i]
	j.attempts++
	j.mark++
	j.asked = w.now
	verdict := patterns.Wait
	if !w.ahead(w.level(j)) {
		verdict = w.ask(i)
	}
	switch verdict {
	case patterns.Grant:
		w.enter(i)
	case patterns.Wait:
		w.join(i)
	default:
		w.refused(i)
	}
}

func (w *world) level(j *job) int { return int(w.Classes[j.class].Priority - patterns.Background) }

func (w *world) ask(i int32) patterns.Verdict {
	j := &w.jobs[i]
	w.request = w.ofJob(i)
	slot := uint32(len(w.slots))
	if n := len(w.freeSlot); n > 0 {
		slot = w.freeSlot[n-1]
	} else {
		w.slots = append(w.slots, 0)
		w.freeSlot = append(w.freeSlot, slot)
	}
	id := uint64(w.slots[slot]+1)<<32 | uint64(slot+1)
	d := w.limiter.Acquire(w.now, id, &w.request)
	if d.Verdict == patterns.Grant {
		w.freeSlot = w.freeSlot[:len(w.freeSlot)-1]
		w.slots[slot]++
		j.slot, j.permit = slot, patterns.PermitID{Epoch: d.Epoch, ID: id}
	}
	return d.Verdict
}

func (w *world) scheduleLeave(i int32) {
	j := &w.jobs[i]
	w.agenda.put(event{at: j.asked + patterns.Instant(w.Service.Deadline), kind: leave, job: i, mark: j.mark})
}
