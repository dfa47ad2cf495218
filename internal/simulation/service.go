package simulation

import (
	"math"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// enter sends a granted call to the service.
func (w *world) enter(i int32) {
	j := &w.jobs[i]
	j.granted, j.queued, j.out, j.inside = w.now, w.now, true, true
	w.inFlight++
	w.tally(j, func(t *Tally) { t.Granted++ })
	if w.Service.Abandon {
		w.scheduleLeave(i)
	}
	w.queue.put(i)
	w.serve()
}

// serve gives queued calls to idle workers.
func (w *world) serve() {
	for w.busy < w.workers && w.queue.len() > 0 {
		i := w.queue.pop()
		j := &w.jobs[i]
		w.busy++
		w.result.Started++
		if wait := w.now - j.queued; wait > 0 {
			w.result.Waited++
			w.result.WaitSum += time.Duration(wait)
		}
		w.agenda.put(event{at: w.now + w.serviceTime(), kind: finish, job: i})
	}
}

func (w *world) serviceTime() patterns.Instant {
	mean := float64(w.Service.Mean)
	if slow := w.Phases[w.phase].Slow; slow > 0 {
		mean *= slow
	}
	if w.Service.Exponential {
		return patterns.Instant(w.services.ExpFloat64() * mean)
	}
	s := w.Service.Sigma
	return patterns.Instant(math.Exp(math.Log(mean) - s*s/2 + s*w.services.NormFloat64()))
}

// finished is the end of a call's work, whoever still waits for it.
func (w *world) finished(i int32) {
	j := &w.jobs[i]
	w.busy--
	j.inside = false
	if j.gone {
		w.release(i)
	} else {
		j.mark++
		late := w.now > j.asked+patterns.Instant(w.Service.Deadline)
		w.account(j, late)
		w.giveBack(i, late)
		w.ended(i, late)
	}
	w.serve()
	w.pump()
}

// left is a caller whose deadline passed.
func (w *world) left(i int32) {
	j := &w.jobs[i]
	j.mark++
	if j.waiting {
		w.stepOut(i)
		w.goOn(i)
		w.release(i)
		w.pump()
		return
	}
	w.account(j, true)
	w.giveBack(i, true)
	j.gone = true
	w.goOn(i)
	w.pump()
}

// goOn lets the caller of a job that must stay where it is go on with another one.
func (w *world) goOn(i int32) {
	j := w.jobs[i]
	switch {
	case w.Clients > 0:
		w.think(w.newJob())
	case int(j.attempts) <= w.Retries:
		k := w.newJob()
		mark := w.jobs[k].mark
		w.jobs[k] = job{arrived: j.arrived, class: j.class, attempts: j.attempts, mark: mark + 1}
		w.retry(k)
	}
}

func (w *world) account(j *job, late bool) {
	w.tally(j, func(t *Tally) {
		if late {
			t.Late++
		} else {
			t.Good++
		}
	})
	if !late {
		w.result.Bins[int(time.Duration(w.now)/Bin)]++
	}
	if j.arrived >= patterns.Instant(w.Warm) {
		w.result.Latency.Add(time.Duration(w.now - j.asked))
	}
}

func (w *world) giveBack(i int32, late bool) {
	j := &w.jobs[i]
	o := patterns.Success
	if late {
		o = patterns.Dropped
	}
	w.inFlight--
	j.out = false
	w.slots[j.slot]++
	w.freeSlot = append(w.freeSlot, j.slot)
	w.limiter.Report(w.now, j.permit, o, time.Duration(w.now-j.granted))
}

// ended is a call with nothing left of it in the system.
func (w *world) ended(i int32, late bool) {
	if late && int(w.jobs[i].attempts) <= w.Retries {
		w.retry(i)
		return
	}
	w.close(i)
}

func (w *world) refused(i int32) {
	if int(w.jobs[i].attempts) <= w.Retries {
		w.retry(i)
		return
	}
	w.close(i)
}

func (w *world) close(i int32) {
	if w.Clients > 0 {
		w.jobs[i].attempts = 0
		w.think(i)
		return
	}
	w.release(i)
}

func (w *world) retry(i int32) {
	w.agenda.put(event{at: w.now + w.exp(float64(w.Backoff)), kind: again, job: i})
}

func (w *world) release(i int32) {
	w.jobs[i].mark++
	w.free = append(w.free, i)
}
