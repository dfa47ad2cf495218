package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are what the command line says. An empty string means the default, so
// that make can pass its variables as they are.
type options struct {
	cases  string
	rounds string
	out    string
	short  bool
	strict bool
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.cases, "cases", "", "measure the cases that match this `regexp` (default all)")
	f.StringVar(&o.rounds, "rounds", "", "how `often` to measure each (default 5, or 1 with -short)")
	f.StringVar(&o.out, "out", "", "`directory` for the results (default results, or a temporary one with -short)")
	f.BoolVar(&o.short, "short", false, "a few milliseconds each: does it run? the numbers mean nothing")
	f.BoolVar(&o.strict, "strict", false, "fail if a budget is missed")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	return o, nil
}

var errMissed = errors.New("budgets missed")

func run(args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	pattern, err := regexp.Compile(o.cases)
	if err != nil {
		return fmt.Errorf("-cases: %w", err)
	}
	s := thorough()
	if o.short {
		s = short()
		o.out = cmp.Or(o.out, filepath.Join(os.TempDir(), "bulwark-bench"))
	}
	if o.rounds != "" {
		if s.rounds, err = strconv.Atoi(o.rounds); err != nil || s.rounds < 1 {
			return fmt.Errorf("-rounds: %q is not a number above 0", o.rounds)
		}
	}
	chosen := selected(families(), pattern)
	if len(chosen) == 0 {
		return fmt.Errorf("-cases: no case matches %q", o.cases)
	}
	ready, stop, err := equipped(chosen, stderr)
	if err == nil {
		err = bench(ready, s, cmp.Or(o.out, "results"), o.strict, stdout, stderr)
	}
	return errors.Join(err, stop())
}

// equipped returns the families that have what they need, and what stops that. It says
// why others are left out, and fails if none is left.
func equipped(all []family, stderr io.Writer) (ready []family, stop func() error, err error) {
	var stops []func() error
	stop = func() error {
		var failed error
		for _, s := range stops {
			failed = errors.Join(failed, s())
		}
		return failed
	}
	for _, f := range all {
		if f.needs != nil {
			s, lacking := f.needs()
			if lacking != nil {
				_, _ = fmt.Fprintf(stderr, "left out: %s and what is with it: %v\n", f.cases[0].name, lacking)
				err = errors.Join(err, lacking)
				continue
			}
			stops = append(stops, s)
		}
		ready = append(ready, f)
	}
	if len(ready) > 0 {
		err = nil
	}
	return ready, stop, err
}

// bench measures, writes the results and prints them.
func bench(all []family, s settings, out string, strict bool, stdout, stderr io.Writer) error {
	s.work = calibrateWork()
	m := thisMachine(s.work)
	var cases []benchCase
	for _, f := range all {
		cases = append(cases, f.cases...)
	}
	rs, err := measure(cases, s, stderr)
	if err != nil {
		return err
	}
	text := page(all, rs, m, s)
	if err := save(all, rs, text, out); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(stdout, text); err != nil {
		return err
	}
	if _, missed := checkAll(all, rs); strict && missed > 0 {
		return fmt.Errorf("%d %w", missed, errMissed)
	}
	return nil
}

func save(all []family, rs results, text, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := rs.write(filepath.Join(dir, "latest.json")); err != nil {
		return err
	}
	for _, f := range all {
		for _, fig := range f.figures {
			if fig.ready(rs) {
				if err := fig.save(rs, dir); err != nil {
					return fmt.Errorf("draw %s: %w", fig.file, err)
				}
			}
		}
	}
	return os.WriteFile(filepath.Join(dir, "README.md"), []byte(text), 0o644)
}
