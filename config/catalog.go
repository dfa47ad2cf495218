package config

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/adaptive"
	"github.com/bulwark-go/bulwark/patterns/backpressure"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/hedge"
	"github.com/bulwark-go/bulwark/patterns/loadshedder"
	"github.com/bulwark-go/bulwark/patterns/outlier"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
	redislimiter "github.com/bulwark-go/bulwark/patterns/ratelimiter/redis"
	"github.com/bulwark-go/bulwark/patterns/retry"
	"github.com/bulwark-go/bulwark/patterns/timeout"
)

// catalog is all that a file may say. A pattern is added here: an entry of kinds, its
// words if it has constants, and its types if they are new.
type catalog struct {
	kinds []kind
	// words are names of numbers, by struct and field.
	words map[reflect.Type]map[string]words
	// texts are the types that read themselves from a text.
	texts map[reflect.Type]text
	// made are the types that are made of others.
	made map[reflect.Type]maker
	// choices are the types of which there are several kinds.
	choices map[reflect.Type][]reflect.Type
	// leftOut are the types that are made of functions, or shared: only code can set them.
	leftOut map[reflect.Type]bool
	// spoken are the words for what patterns' errors call by its name in Go.
	spoken map[string]string
}

// duration is a regular expression for one number of a time with its unit.
const duration = `([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)`

// words are names of numbers. A field that has one for 0 takes 0 itself too; to others 0
// would mean their default.
type words map[string]int64

// text is how a schema describes a type that reads itself.
type text struct {
	pattern string   // regular expression
	oneOf   []string // in place of a pattern
	number  bool     // a number is a text too
	share   bool     // so is a share of 1
	list    bool     // a list is a text with commas
}

// maker makes a value of another one, which is read.
type maker struct {
	from reflect.Type
	make func(from any) any
}

func newCatalog() *catalog {
	off, none := words{"off": 0}, words{"none": 0}
	minus := func(word string) words { return words{word: -1} }
	const (
		rate = `[0-9]+[ \t]*/[ \t]*([0-9]+[ \t]*)?[A-Za-z]+([ \t]+[Bb][Uu][Rr][Ss][Tt][ \t]+[0-9]+)?`
	)
	return &catalog{
		kinds: []kind{
			plain("adaptive", adaptive.Spawn),
			plain("backpressure", backpressure.Spawn),
			plain("bulkhead", bulkhead.Spawn),
			plain("circuitbreaker", circuitbreaker.Spawn),
			hedges(),
			plain("loadshedder", loadshedder.Spawn),
			plain("outlier", outlier.Spawn),
			folded("ratelimiter", ratelimiter.Spawn, limited.fold),
			folded("redislimiter", redislimiter.Spawn, shared.fold),
			retries(),
			budgets(),
			plain("timeout", timeout.Spawn),
		},
		words: map[reflect.Type]map[string]words{
			reflect.TypeFor[adaptive.Config](): {
				"MaxLatency": off, "MaxWaiting": none, "MaxWait": off, "RefuseFrom": off, "CallTimeout": off,
			},
			reflect.TypeFor[adaptive.AIMD]():      {"Window": off},
			reflect.TypeFor[adaptive.Gradient2](): {"Window": minus("per-sample"), "Freeze": minus("never")},
			reflect.TypeFor[adaptive.Window]():    {"Percentile": off, "Losses": none},
			reflect.TypeFor[backpressure.Config](): {
				"LowWater": minus("drained"), "MaxWaiting": minus("none"),
			},
			reflect.TypeFor[bulkhead.Config](): {"MaxWaiting": none, "MaxWait": off, "MaxPartitions": off},
			reflect.TypeFor[circuitbreaker.Config](): {
				"FailureRatio": off, "SlowRatio": off, "SlowCall": off, "OpenJitter": off, "ResetOpensAfter": off,
				"ProbeFailureRatio": off, "RampFor": off, "CallTimeout": off,
			},
			reflect.TypeFor[hedge.Config](): {"Quantile": off},
			reflect.TypeFor[loadshedder.Config](): {
				"MaxQueue": minus("none"), "MaxWait": minus("off"), "CPU": minus("off"), "Memory": minus("off"),
				"SchedulingLatency": minus("off"), "GC": minus("off"), "SampleInterval": minus("off"), "Smoothing": minus("off"),
				"Floor": minus("off"), "Throttle": minus("off"),
			},
			reflect.TypeFor[ratelimiter.Config](): {
				"WarmUpFor": off, "MaxKeys": minus("none"), "MaxWaiting": none, "MaxWait": off,
			},
			reflect.TypeFor[redislimiter.Config](): {"MaxWaiting": none, "MaxWait": off, "LeaseFor": off},
			reflect.TypeFor[constant]():            {"Wait": none},
			reflect.TypeFor[retry.BudgetConfig]():  {"Ratio": minus("none"), "MinPerSecond": minus("none")},
			reflect.TypeFor[retry.Config]():        {"MaxElapsed": off},
			reflect.TypeFor[timeout.Config]():      {"Quantile": off},
		},
		texts: map[reflect.Type]text{
			reflect.TypeFor[patterns.Mode]():       {pattern: `strict|leased(\([ ]*[0-9]+[ ]*(,[ ]*(` + duration + `)+[ ]*)?\))?`},
			reflect.TypeFor[patterns.FailPolicy](): {oneOf: []string{"fail-open", "fail-closed"}},
			reflect.TypeFor[circuitbreaker.Window](): {
				pattern: `[0-9]+|(` + duration + `)+([ ]+in[ ]+[0-9]+[ ]+buckets)?`, number: true,
			},
			reflect.TypeFor[loadshedder.Law]():       {pattern: `any-delay|pie\([^,()]+\)|codel\([^,()]+,[^,()]+\)`},
			reflect.TypeFor[outlier.Members]():       {pattern: `[ \t]*[^ \t,]+[ \t]*(,[ \t]*[^ \t,]+[ \t]*)*`, list: true},
			reflect.TypeFor[ratelimiter.Rate]():      {pattern: `[ \t]*` + rate + `[ \t]*`},
			reflect.TypeFor[ratelimiter.Tiers]():     {pattern: `[ \t]*` + rate + `([ \t]*,[ \t]*` + rate + `){0,3}[ \t]*`, list: true},
			reflect.TypeFor[redislimiter.Outage]():   {oneOf: namesOf(redislimiter.Outage.Valid)},
			reflect.TypeFor[ratelimiter.Algorithm](): {oneOf: namesOf(ratelimiter.Algorithm.Valid)},
			reflect.TypeFor[jitter]():                {pattern: `exact|full|equal|[0-9.]+`, share: true},
			reflect.TypeFor[adaptive.Queue]():        {oneOf: namesOf(adaptive.Queue.Valid)},
		},
		made: map[reflect.Type]maker{
			reflect.TypeFor[retry.Backoff](): {
				reflect.TypeFor[growth](), func(v any) any { return v.(growth).backoff() },
			},
			reflect.TypeFor[*adaptive.Partitions](): {
				reflect.TypeFor[map[string]float64](), func(v any) any { return adaptive.Guarantee(v.(map[string]float64)) },
			},
			reflect.TypeFor[*circuitbreaker.OpenSchedule](): {
				reflect.TypeFor[[]time.Duration](), func(v any) any {
					times := v.([]time.Duration)
					return circuitbreaker.Schedule(func(opening int) time.Duration { return times[min(opening, len(times))-1] })
				},
			},
		},
		choices: map[reflect.Type][]reflect.Type{
			reflect.TypeFor[growth](): {
				reflect.TypeFor[constant](), reflect.TypeFor[linear](), reflect.TypeFor[exponential](),
				reflect.TypeFor[decorrelated](), reflect.TypeFor[smooth](),
			},
			reflect.TypeFor[adaptive.Algorithm](): {
				reflect.TypeFor[adaptive.Knee](), reflect.TypeFor[adaptive.AIMD](), reflect.TypeFor[adaptive.Vegas](),
				reflect.TypeFor[adaptive.Gradient](), reflect.TypeFor[adaptive.Gradient2](), reflect.TypeFor[adaptive.Window](),
			},
		},
		leftOut: map[reflect.Type]bool{reflect.TypeFor[*retry.Overrides](): true, reflect.TypeFor[*retry.Budget](): true, clientOf(): true},
		spoken: map[string]string{
			"Off": "off", "None": "none", "NoQueue": "none", "NoKeys": "none", "Drained": "drained", "PerSample": "per-sample", "NeverFreeze": "never",
			"FailOpen": "fail-open", "FailClosed": "fail-closed", "Local": "local", "TokenBucket": "token-bucket", "SlidingLog": "sliding-log",
			"WarmUp": "warm-up", "FIFO": "fifo", "LIFO": "lifo", "AdaptiveLIFO": "adaptive-lifo", "CoDel": "codel",
		},
	}
}

// shared is a section of a limiter in Redis, in which the burst may have a line of its own.
type shared struct {
	redislimiter.Config
	Burst int64 // of Rate
}

func (s shared) fold() (redislimiter.Config, error) {
	c := s.Config
	l := limited{Config: ratelimiter.Config{Rate: c.Rate}, Burst: s.Burst}
	folded, err := l.fold()
	c.Rate = folded.Rate
	if fault, ok := errors.AsType[*patterns.ConfigError](err); ok {
		fault.Pattern = "redislimiter"
	}
	return c, err
}

// clientOf is the type of what only code can give a limiter in Redis.
func clientOf() reflect.Type {
	f, _ := reflect.TypeFor[redislimiter.Config]().FieldByName("Client")
	return f.Type
}

// limited is a section of a rate limiter, in which the burst may have a line of its own.
type limited struct {
	ratelimiter.Config
	Burst int64 // of Rate
}

func (l limited) fold() (ratelimiter.Config, error) {
	c := l.Config
	if l.Burst == 0 {
		return c, nil
	}
	fault := &patterns.ConfigError{Pattern: "ratelimiter", Field: "Burst", Value: l.Burst}
	switch {
	case c.Rate == (ratelimiter.Rate{}):
		fault.Problem = "needs Rate: Tiers have their bursts in their text"
	case c.Rate.Burst != c.Rate.Count:
		fault.Problem = "is in Rate already"
	default:
		c.Rate.Burst = l.Burst
		return c, nil
	}
	return c, fault
}

// namesOf returns the names of the values of a closed set that begins at 0.
func namesOf[T interface {
	~uint8
	String() string
}](valid func(T) bool,
) (names []string) {
	for v := T(0); valid(v); v++ {
		names = append(names, v.String())
	}
	return names
}

func (c *catalog) kind(name string) (kind, bool) {
	i := slices.IndexFunc(c.kinds, func(k kind) bool { return k.name == name })
	if i < 0 {
		return kind{}, false
	}
	return c.kinds[i], true
}

func (c *catalog) kindNames() []string {
	names := make([]string, len(c.kinds))
	for i, k := range c.kinds {
		names[i] = k.name
	}
	return names
}

// wordsOf returns the words of a field, of which each has one for its default.
func (c *catalog) wordsOf(f field) words { return c.words[f.of][f.name] }

func (w words) names() []string { return append(slices.Sorted(maps.Keys(w)), "default") }

// zero reports whether 0 means what it says.
func (w words) zero() bool {
	for _, v := range w {
		if v == 0 {
			return true
		}
	}
	return false
}
