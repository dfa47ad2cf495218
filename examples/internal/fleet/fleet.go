package fleet

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/bulwark-go/bulwark/internal/redisserver"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
)

// Processes is how many share the limit.
const Processes = 3

// Limit is what they may do together.
var Limit = ratelimiter.Rate{Count: 100, Per: time.Second, Burst: 9}

// Bound is the most that they may ever get in a second: a second's worth, a burst, and what
// two of them use of their parts before they notice that Redis is back.
const Bound = 100 + 9 + 5

// Plan is when Redis is there.
type Plan struct {
	Up, Down, Back time.Duration // whole seconds: it runs, it is stopped, it runs again
}

func (p Plan) lasts() time.Duration { return p.Up + p.Down + p.Back }

// at returns how Redis is at a time since the start.
func (p Plan) at(d time.Duration) State {
	if p.Up <= d && d < p.Up+p.Down {
		return Down
	}
	return Up
}

// Record is what became of a run.
type Record struct {
	Missing    error // why there was no Redis, and a part of the limit stood in for it in each process
	Admissions []Admission
	Seconds    []Second
}

// Run runs a fleet as p says. each is called for every second once it is over; what the
// processes log goes to log. If ctx ends it returns what there is so far.
func Run(ctx context.Context, p Plan, log io.Writer, each func(Second)) (r Record, err error) {
	server, failed := redisserver.Start()
	url := alone
	if missing, is := errors.AsType[*redisserver.MissingError](failed); is {
		r.Missing = missing
	} else if failed != nil {
		return r, failed
	} else {
		url = server.URL()
		defer func() { err = errors.Join(err, server.Stop()) }()
	}
	ctx, cancel := context.WithTimeout(ctx, p.lasts())
	defer cancel()
	admitted := make(chan Admission, 1024)
	began := time.Now()
	var all sync.WaitGroup
	ends := make(chan error, Processes+1)
	for i := range Processes {
		all.Go(func() { ends <- process(ctx, i, url, log, began, admitted) })
	}
	all.Go(func() { ends <- p.meddle(ctx, server, began) })
	go func() {
		all.Wait()
		close(admitted)
		close(ends)
	}()
	r.watch(p, began, admitted, each)
	for e := range ends {
		err = errors.Join(err, e)
	}
	return r, err
}

// meddle stops and starts Redis.
func (p Plan) meddle(ctx context.Context, server *redisserver.Server, began time.Time) error {
	if server == nil {
		return nil
	}
	for _, step := range []struct {
		at time.Duration
		do func() error
	}{
		{p.Up, server.Kill},
		{p.Up + p.Down, func() error { return server.Restart() }},
	} {
		select {
		case <-time.After(time.Until(began.Add(step.at))):
		case <-ctx.Done():
			return nil
		}
		if err := step.do(); err != nil {
			return err
		}
	}
	return nil
}

// process runs one until ctx ends.
func process(ctx context.Context, number int, url string, log io.Writer, began time.Time, admitted chan<- Admission) error {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), worker+"="+url)
	cmd.Stderr = log
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = in.Close() }) // Wait closes it too
	defer stop()
	err = read(out, number, began, admitted)
	return errors.Join(err, cmd.Wait())
}

func read(out io.Reader, number int, began time.Time, admitted chan<- Admission) error {
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var from, to int64
		if _, err := fmt.Sscan(lines.Text(), &from, &to); err != nil {
			return fmt.Errorf("process %d said %q: %w", number, lines.Text(), err)
		}
		admitted <- Admission{number, time.UnixMicro(from).Sub(began), time.UnixMicro(to).Sub(began)}
	}
	return nil
}

// watch writes down what is admitted until all have ended.
func (r *Record) watch(p Plan, began time.Time, admitted <-chan Admission, each func(Second)) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for admitted != nil {
		select {
		case a, ok := <-admitted:
			if !ok {
				admitted = nil
				continue
			}
			r.Admissions = append(r.Admissions, a)
			continue
		case <-tick.C:
		}
		if s := r.second(p, len(r.Seconds)); s.From < p.lasts() {
			r.Seconds = append(r.Seconds, s)
			each(s)
		}
	}
}

func (r *Record) second(p Plan, n int) Second {
	s := Second{From: time.Duration(n) * time.Second, By: make([]int, Processes)}
	s.Redis = p.at(s.From)
	if r.Missing != nil {
		s.Redis = Absent
	}
	for _, a := range r.Admissions {
		if s.From <= a.Answered && a.Answered < s.From+time.Second {
			s.By[a.Process]++
			s.Together++
		}
	}
	return s
}
