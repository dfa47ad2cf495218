package loadshedder

import (
	"errors"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/machinetest"
)

// shop serves so many at once, each for as long as the others, and lets whoever it is sent
// wait as the Machine says.
type shop struct {
	*host
	t       *testing.T
	service time.Duration
	ends    map[int]patterns.Instant
	labels  int
	of      map[int]patterns.Priority
	came    map[int]patterns.Instant

	served, shed map[patterns.Priority]int
	waited       map[patterns.Priority][]time.Duration
	why          map[Cause]int
}

func newShop(t *testing.T, service time.Duration, c Config) *shop {
	s := &shop{host: newHost(t, c), t: t, service: service, ends: map[int]patterns.Instant{}}
	s.of, s.came = map[int]patterns.Priority{}, map[int]patterns.Instant{}
	s.reset()
	return s
}

func (s *shop) reset() {
	s.served, s.shed, s.waited, s.why = map[patterns.Priority]int{}, map[patterns.Priority]int{}, map[patterns.Priority][]time.Duration{}, map[Cause]int{}
}

// until lets time pass.
func (s *shop) until(end patterns.Instant) {
	for {
		at, who := end, 0
		for label, e := range s.ends {
			if e < at || e == at && label < who {
				at, who = e, label
			}
		}
		s.Pass(max(0, at.Sub(s.Now)))
		s.note()
		if who == 0 {
			return
		}
		delete(s.ends, who)
		s.End(who, patterns.Success)
		s.note()
	}
}

// note has those who were granted served, and counts those who were shed.
func (s *shop) note() {
	for _, label := range s.Taken() {
		p := s.of[label]
		s.ends[label] = s.Now.Add(s.service)
		s.served[p]++
		s.waited[p] = append(s.waited[p], s.Now.Sub(s.came[label]))
	}
	for _, r := range s.Refused {
		s.shed[s.of[r.Label]]++
		s.why[causeOf(r.Err)]++
	}
	s.Refused = nil
}

// offer sends one request every gap, for a while, of these priorities in turn.
func (s *shop) offer(gap, span time.Duration, of ...patterns.Priority) {
	for end := s.Now.Add(span); s.Now < end; s.until(s.Now.Add(gap)) {
		s.labels++
		s.of[s.labels], s.came[s.labels] = of[s.labels%len(of)], s.Now
		got, err := s.Acquire(s.labels, patterns.Request{Priority: s.of[s.labels]})
		if got == machinetest.Rejected {
			s.shed[s.of[s.labels]]++
			s.why[causeOf(err)]++
		}
		s.note()
	}
}

func (s *shop) mean(p patterns.Priority) time.Duration {
	sum := time.Duration(0)
	for _, w := range s.waited[p] {
		sum += w
	}
	return sum / time.Duration(max(1, len(s.waited[p])))
}

var counter = with(blind, func(c *Config) { c.MaxInFlight, c.MaxQueue, c.MaxWait = 4, 100, Off })

func TestQueueDelayKeepsWaitingShort(t *testing.T) {
	for _, tt := range []struct {
		law         Law
		cause       Cause
		least, most time.Duration
	}{
		{Law{}, CauseQueueDelay, ms, 60 * ms},
		{CoDel(5*ms, 100*ms), CauseQueueDelay, ms, 60 * ms},
		{PIE(15 * ms), CauseQueueDelay, 5 * ms, 25 * ms},
		{AnyDelay(), CauseQueue, 200 * ms, sec},
	} {
		t.Run(tt.law.String(), func(t *testing.T) {
			s := newShop(t, 10*ms, with(counter, func(c *Config) { c.QueueDelay = tt.law }))
			s.offer(2*ms, 3*sec, patterns.Normal) // 500 a second, of which 400 can be served
			s.reset()
			s.offer(2*ms, 5*sec, patterns.Normal)
			if mean := s.mean(patterns.Normal); mean < tt.least || mean > tt.most {
				t.Errorf("waited for %v", mean)
			}
			if s.served[0] < 1900 || s.why[tt.cause] < 350 || s.shed[0] != s.why[tt.cause] {
				t.Errorf("served %d, shed %v", s.served[0], s.why)
			}
		})
	}
}

func TestABurstIsNotShed(t *testing.T) {
	for _, law := range []Law{CoDel(5*ms, 100*ms), PIE(15 * ms)} {
		s := newShop(t, 10*ms, with(counter, func(c *Config) { c.QueueDelay = law }))
		for range 20 {
			s.offer(100*time.Microsecond, 3*ms, patterns.Normal) // 30 at once, in 75 ms
			s.until(s.Now.Add(200 * ms))
		}
		if s.shed[0] != 0 || s.served[0] != 600 {
			t.Errorf("%v: shed %v of %d", law, s.why, s.served[0])
		}
	}
}

func TestDelayIsJudgedOfEachPriorityByItself(t *testing.T) {
	for _, law := range []Law{CoDel(5*ms, 100*ms), PIE(15 * ms)} {
		s := newShop(t, 10*ms, with(counter, func(c *Config) { c.QueueDelay = law }))
		s.offer(2*ms, 8*sec, patterns.Low, patterns.High) // each 250 a second
		if s.shed[patterns.High] != 0 || s.shed[patterns.Low] < 400 || s.served[patterns.High] < 1990 {
			t.Errorf("%v: shed %v, served %v", law, s.shed, s.served)
		}
		if high, low := s.mean(patterns.High), s.mean(patterns.Low); high > 5*ms || low < high {
			t.Errorf("%v: waited %v and %v", law, high, low)
		}
	}
}

// The place that one gets who waits alone would go to nobody if it were shed.
func TestTheLastOneWhoWaitsIsNotShed(t *testing.T) {
	s := newShop(t, 200*ms, with(blind, func(c *Config) { c.MaxInFlight = 1 }))
	s.offer(400*ms, 20*sec, patterns.Normal, patterns.Normal)
	s.reset()
	s.offer(199*ms, 10*sec, patterns.Normal)
	if s.shed[0] != 0 {
		t.Errorf("shed %v", s.why)
	}
}

// A queue that was empty between two long waits has no standing delay.
func TestCoDelForgetsAnOldQueue(t *testing.T) {
	s := newScript(t, with(blind, func(c *Config) { c.MaxInFlight, c.MaxWait = 1, Off }))
	s.run("a w*2 +50ms d g2 d g3 d +10s calm")
	s.run("a w*2 +50ms d g5 y d g6 d")
	if s.M.queue.laws.codel[2].Dropping() {
		t.Error("still dropping")
	}
}

func TestCoDelForgetsAQueueThatEverybodyLeft(t *testing.T) {
	s := newScript(t, with(blind, func(c *Config) { c.MaxInFlight, c.MaxWait = 1, Off }))
	s.run("a w*3 +50ms d g2 c3 c4 d +10s a w*2 +50ms d g6 y")
}

func TestTheLastOneOfAStandingQueueIsNotShed(t *testing.T) {
	for waiting, want := range map[int]patterns.Verdict{1: patterns.Grant, 2: patterns.Refuse} {
		m := newTestMachine(with(blind, func(c *Config) { c.MaxInFlight, c.MaxWait = 1, Off }))
		now := patterns.Instant(sec)
		law := &m.queue.laws.codel[2]
		law.Drop(now, 0, false)
		law.Drop(now.Add(sec), 0, false)
		law.Drop(now.Add(sec), 0, false)
		m.queue.laws.served[2] = now.Add(sec)
		m.queue.waiting = waiting
		if d := m.Acquire(now.Add(2*sec), 1, &patterns.Request{Asked: 1}); d.Verdict != want {
			t.Errorf("%d wait: %+v", waiting, d)
		}
	}
}

func TestForecasts(t *testing.T) {
	m := newTestMachine(with(counter, func(c *Config) { c.NewestFirst = true }))
	m.inFlight = 2
	for _, tt := range []struct {
		name       string
		rate       float64
		newest     bool
		w, ahead   int
		wait, stay time.Duration
	}{
		{"unknown", 0, false, 1, 9, 0, 0},
		{"those ahead, less the places that are free", 100, false, 1, 3, 20 * ms, 20 * ms},
		{"a heavy one waits for more", 100, false, 4, 3, 50 * ms, 20 * ms},
		{"nobody ahead", 100, false, 1, 0, 0, 20 * ms},
		{"the newest has nobody ahead", 100, true, 4, 9, 20 * ms, 20 * ms},
		{"hardly ever one ends", 1e-300, false, 4, 9, seconds(forever), seconds(forever)},
	} {
		m.queue.rate, m.queue.newest = tt.rate, tt.newest
		if wait, stay := m.forecast(tt.w, &patterns.Queue{Ahead: tt.ahead}); wait != tt.wait || stay != tt.stay {
			t.Errorf("%s: %v, %v", tt.name, wait, stay)
		}
	}
}

// Where nobody knows how fast calls end, PIE goes by how long the oldest has waited.
func TestPIEGoesByTheOldestWhereTheRateIsUnknown(t *testing.T) {
	m := newTestMachine(with(counter, func(c *Config) { c.QueueDelay = PIE(ms) }))
	for now := patterns.Instant(sec); now < patterns.Instant(2*sec); now = now.Add(piePeriod) {
		m.hi = now
		m.crowded(&patterns.Request{}, 0, &patterns.Queue{Waiting: 9, Oldest: now.Add(-100 * ms)})
		m.crowded(&patterns.Request{Priority: patterns.High}, 0, &patterns.Queue{Oldest: patterns.Never})
	}
	if normal, high := m.queue.laws.pie[2].Share(), m.queue.laws.pie[3].Share(); normal == 0 || high != 0 {
		t.Errorf("%v and %v", normal, high)
	}
}

func TestReservesGrowByOneAndShrinkByLittle(t *testing.T) {
	c := cutoff{seen: [grades]float64{3: 1}}
	c.refused(3, 9) // there is nobody lower
	c.refused(2, 9)
	if c.held {
		t.Fatalf("%v", c.reserve)
	}
	for range 12 {
		c.refused(5, 9)
	}
	if c.reserve != [grades]float64{5: 9} || !c.held || c.kept(4) != 9 || c.kept(5) != 0 {
		t.Fatalf("%v", c.reserve)
	}
	c.granted(7)
	c.granted(5)
	if c.reserve[5] != 9-lossTarget {
		t.Errorf("%v", c.reserve)
	}
	for range 20_000 {
		c.granted(5)
	}
	if c.held {
		t.Errorf("%v", c.reserve)
	}
}

func TestWhoCameIsForgottenAndSoAreReservesForThem(t *testing.T) {
	var c cutoff
	c.arrivals[3], c.arrivals[5] = 100, 50
	c.reserve[5], c.reserve[7], c.held = 4, 2, true
	c.roll(patterns.Instant(rollEvery - 1))
	if c.arrivals[3] != 100 {
		t.Fatal("too soon")
	}
	c.roll(patterns.Instant(rollEvery))
	if c.seen[3] != 100 || c.seen[5] != 50 || c.arrivals != [grades]uint64{} || c.reserve[5] != 4 || c.reserve[7] >= 2 || c.reserve[7] < 1.7 {
		t.Errorf("%+v", c)
	}
	c.roll(patterns.Instant(rollEvery + memory))
	if c.seen[3] < 36 || c.seen[3] > 37 || c.reserve[5] > 1.5 {
		t.Errorf("%+v", c)
	}
	c.roll(patterns.Instant(time.Minute))
	if c.held || c.reserve != [grades]float64{} {
		t.Errorf("%+v", c)
	}
}

func TestTheRateIsAMovingAverage(t *testing.T) {
	var q queue
	now := patterns.Instant(sec)
	end := func(n int, gap time.Duration) {
		for range n {
			now = now.Add(gap)
			q.completed(now, 1)
		}
	}
	end(11, 10*ms)
	if q.rate != 100 {
		t.Errorf("%v, want 100", q.rate)
	}
	end(20, 5*ms)
	if want := 0.7*100 + 0.3*200; q.rate != want {
		t.Errorf("%v, want %v", q.rate, want)
	}
	end(1, sec)
	if want := 0.7*130 + 0.3; q.rate < want-1e-9 || q.rate > want+1e-9 {
		t.Errorf("%v, want %v", q.rate, want)
	}
	if q.rest(); q.rate != 0 {
		t.Error("not forgotten")
	}
}

func TestWhoCannotBeServedInTimeIsShedAtOnce(t *testing.T) {
	for _, tt := range []struct {
		name     string
		deadline float64 // from now: waits, and then stays
		stays    float64
		maxWait  float64 // waits
		cause    Cause
	}{
		{"its wait would be too long", 0.9, 0, 0, CauseDeadline},
		{"it would have to stay too long", 1, 0.9, 0, CauseDeadline},
		{"there is time enough", 1, 1.1, 0, CauseNone},
		{"it waits for as long as it likes", 0, 0, 0, CauseNone},
		{"it would wait for longer than MaxWait", 0, 0, 0.9, CauseMaxWait},
		{"MaxWait is long enough", 0, 0, 1.1, CauseNone},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShop(t, 10*ms, with(counter, func(c *Config) { c.MaxQueue, c.QueueDelay = 40, AnyDelay() }))
			s.offer(2500*time.Microsecond, 200*ms, patterns.Normal)
			s.offer(200*time.Microsecond, 8*ms, patterns.Normal)
			// 400 a second are served, and about 36 wait.
			n := len(s.Queue)
			wait, stay := s.M.forecast(1, &patterns.Queue{Ahead: n})
			if n < 34 || n > 39 || wait < 85*ms || wait > 100*ms || stay < 9*ms || stay > 11*ms {
				t.Fatalf("%d wait; %v, %v", n, wait, stay)
			}
			r := patterns.Request{}
			if tt.deadline != 0 {
				r.Deadline = s.Now.Add(time.Duration(tt.deadline*float64(wait) + tt.stays*float64(stay)))
			}
			if tt.maxWait != 0 {
				s.M.cfg.MaxWait = time.Duration(tt.maxWait * float64(wait))
			}
			got, err := s.Acquire(9999, r)
			if causeOf(err) != tt.cause || (err == nil) != (got == machinetest.Queued) {
				t.Errorf("%s, %v", got, err)
			}
			if e, ok := errors.AsType[*ShedError](err); ok && (e.After != wait || e.Waiting != n) {
				t.Errorf("%+v", e)
			}
		})
	}
}

func TestAnEstimateIsForgottenWithTheStrainItIsOf(t *testing.T) {
	s := newShop(t, 10*ms, counter)
	s.offer(2*ms, sec, patterns.Normal)
	if s.M.queue.rate == 0 {
		t.Fatal("no estimate")
	}
	s.until(s.Now.Add(10 * sec))
	if s.M.queue.rate != 0 || s.M.queue.waiting != 0 || !s.M.calm {
		t.Errorf("%+v", s.M.queue)
	}
}

func TestADeadlineThatPassedWhileItWaitedIsItsOwnCause(t *testing.T) {
	s := newScript(t, hall)
	s.run("a*2")
	for i, deadline := range []time.Duration{5 * sec, sec} {
		if got, err := s.Acquire(10+i, patterns.Request{Deadline: s.Now.Add(deadline)}); got != machinetest.Queued {
			t.Fatal(got, err)
		}
	}
	s.Callers = 11
	s.run("+1s y11:deadline +3999ms y +1ms y10:deadline")
	// One that the host asks for too late is not started.
	r := patterns.Request{Asked: 1, Deadline: s.Now}
	s.run("d")
	if d := s.M.Acquire(s.Now, 99, &r); causeOf(d.Err) != CauseDeadline {
		t.Errorf("%+v", d)
	}
}

func TestTheNewestIsServedFirstWhileTheQueueDoesNotGetEmpty(t *testing.T) {
	c := with(hall, func(c *Config) { c.MaxInFlight, c.MaxQueue, c.NewestFirst = 1, 5, true })
	m := newTestMachine(c)
	m.Acquire(0, 1, &patterns.Request{})
	order := func(now patterns.Instant, waiting int) patterns.Order {
		before := m.Order()
		_, dirty, err := m.Join(now, &patterns.Request{}, patterns.Queue{Waiting: waiting, Total: waiting})
		if err != nil || (m.Order() != before) && !dirty {
			t.Fatal(dirty, err)
		}
		return m.Order()
	}
	for _, step := range []struct {
		at      time.Duration
		waiting int
		want    patterns.Order
	}{
		{0, 0, patterns.FIFO},
		{50 * ms, 1, patterns.FIFO},
		{100 * ms, 1, patterns.FIFO},
		{101 * ms, 1, patterns.LIFO},
		{500 * ms, 2, patterns.LIFO},
		{600 * ms, 0, patterns.FIFO},
		{700 * ms, 1, patterns.FIFO},
		{701 * ms, 1, patterns.LIFO},
	} {
		if got := order(patterns.Instant(step.at), step.waiting); got != step.want {
			t.Errorf("at %v: %v, want %v", step.at, got, step.want)
		}
	}
	m.Reconfigure(patterns.Instant(sec), with(c, func(c *Config) { c.NewestFirst = false }))
	if m.Order() != patterns.FIFO {
		t.Error("not reconfigured")
	}
	m.Reconfigure(patterns.Instant(sec), with(c, func(c *Config) { c.NewestFirst, c.Fair = false, true }))
	if m.Order() != patterns.Fair {
		t.Error("not fair")
	}
}

// Critical calls come at a rate at which they alone would never wait; all others want ten
// times what there is.
func TestPlacesAreKeptForHigherPrioritiesThatFindNone(t *testing.T) {
	for _, queue := range []int{NoQueue, 8} {
		s := newShop(t, 10*ms, with(counter, func(c *Config) { c.MaxInFlight, c.MaxQueue, c.QueueDelay = 20, queue, AnyDelay() }))
		mix := []patterns.Priority{patterns.Background, patterns.Background, patterns.Background, patterns.Low, patterns.Normal, patterns.Normal, patterns.Normal, patterns.Normal, patterns.Normal, patterns.Critical}
		s.offer(200*time.Microsecond, 2*sec, mix...)
		s.reset()
		s.offer(200*time.Microsecond, 2*sec, mix...)
		if lost := s.shed[patterns.Critical]; lost > 10 || s.served[patterns.Critical] < 985 {
			t.Errorf("queue %d: %d critical ones shed, %d served", queue, lost, s.served[patterns.Critical])
		}
		if s.why[CausePriority] == 0 || s.served[patterns.Background] >= s.served[patterns.Normal] {
			t.Errorf("queue %d: served %v, shed %v for %v", queue, s.served, s.shed, s.why)
		}
		total := 0
		for _, n := range s.served {
			total += n
		}
		if total < 3300 {
			t.Errorf("queue %d: %d of 4000 places were used", queue, total)
		}
		snap := s.M.Snapshot(s.Now, patterns.Counts{})
		if snap.Kept[4] <= 0 {
			t.Errorf("queue %d: kept %v", queue, snap.Kept)
		}
		// Alone, nobody's places are kept from the lowest for ever.
		s.offer(4*ms, 20*sec, patterns.Background)
		if snap := s.M.Snapshot(s.Now, patterns.Counts{}); snap.Kept != [levels]float64{} {
			t.Errorf("queue %d: kept %v", queue, snap.Kept)
		}
	}
}

func TestHowManyPlacesAreKept(t *testing.T) {
	for _, tt := range []struct {
		cfg  Config
		line string
	}{
		{door, "a*3 x.n=priority a.c x.c=in-flight"},
		{hall, "a*2 w*2 x=priority w.c x.c=queue"},
	} {
		s := newScript(t, tt.cfg)
		s.M.strain.on = true // reserves are of a strain
		s.M.strain.look = patterns.Instant(time.Hour)
		s.M.rearm()
		s.M.calmDown()
		s.M.cutoff.reserve[grades-1], s.M.cutoff.held = 1, true
		s.run(tt.line)
	}
}

func TestNobodyKeepsPlacesFromThoseOfItsOwnPriority(t *testing.T) {
	s := newShop(t, 10*ms, with(counter, func(c *Config) { c.MaxInFlight, c.MaxQueue = 20, NoQueue }))
	s.offer(200*time.Microsecond, 3*sec, patterns.Critical)
	if s.why[CauseInFlight] != s.shed[patterns.Critical] || s.M.cutoff.held || s.served[patterns.Critical] < 5800 {
		t.Errorf("shed %v, kept %v", s.why, s.M.cutoff.reserve)
	}
}
