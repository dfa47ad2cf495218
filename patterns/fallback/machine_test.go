package fallback

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bulwark-go/bulwark/patterns"
)

// origin is the wall time of Instant 0 in all tests.
var origin = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func newTestMachine(c Config[int]) *Machine[int] {
	return NewMachine(Params[int]{Name: "f", Origin: origin, Config: c})
}

func TestAQuestionThatItDoesNotKnow(t *testing.T) {
	if c := newTestMachine(Config[int]{Steps: seven}).Consult(0, 7); c != (patterns.Consultation{}) {
		t.Errorf("%+v", c)
	}
}

// twin is a list of what was kept.
type twin struct {
	key   string
	value int
	at    patterns.Instant
}

func TestLastGoodValuesAreThoseOfAList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		config := func(t *rapid.T) Config[int] {
			age := time.Duration(rapid.IntRange(2, 8).Draw(t, "age")) * time.Second
			c := Config[int]{LastGood: age, MaxKeys: rapid.IntRange(1, 4).Draw(t, "keys")}
			if rapid.Bool().Draw(t, "stale") {
				c.StaleFor = age + 3*time.Second
			}
			return c
		}
		c := config(t)
		m, now, list := newTestMachine(c), patterns.Instant(0), []twin{}
		trim := func() {
			list = slices.DeleteFunc(list, func(e twin) bool { return now.Sub(e.at) >= c.age() })
			list = list[max(0, len(list)-c.MaxKeys):]
		}
		value := 0
		keys := rapid.SampledFrom([]string{"", "a", "b", "c", "d", "e", strings.Repeat("x", MaxKey+1)})
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				if err := m.Check(); err != nil {
					t.Fatal(err)
				}
			},
			"keep": func(t *rapid.T) {
				key := keys.Draw(t, "key")
				value++
				m.Consult(now, &good{key: key, value: value})
				trim()
				if len(key) <= MaxKey {
					list = slices.DeleteFunc(list, func(e twin) bool { return e.key == key })
					list = append(list, twin{key, value, now})
				}
				trim()
			},
			"ask": func(t *rapid.T) {
				key, old := keys.Draw(t, "key"), rapid.Bool().Draw(t, "old")
				want, limit := found{}, c.LastGood
				if old {
					limit = c.StaleFor
				}
				for _, e := range list {
					if e.key == key && now.Sub(e.at) < limit {
						want = found{ok: true, value: e.value, age: now.Sub(e.at)}
					}
				}
				if got := m.Consult(now, ask{key, old}).Answer; got != want {
					t.Fatalf("%+v, want %+v", got, want)
				}
			},
			"time passes": func(t *rapid.T) {
				end := now.Add(time.Duration(rapid.Int64Range(0, int64(5*time.Second)).Draw(t, "d")))
				for m.Wake() <= end {
					now = m.Wake()
					if m.Tick(now); m.Wake() <= now {
						t.Fatal("it wants to be woken in the past")
					}
				}
				now = end
			},
			"another config": func(t *rapid.T) {
				trim() // what was too old stays so
				c = config(t)
				m.Reconfigure(now, c)
				trim()
			},
			"reset": func(t *rapid.T) {
				if err := m.Operate(now, patterns.Operation{}); err != nil {
					t.Fatal(err)
				}
				list = nil
			},
		})
		m.Tick(now.Add(time.Hour))
		if s := m.Snapshot(now, patterns.Counts{}); s.Kept != 0 || m.Wake() != patterns.Never {
			t.Fatalf("%+v, and it wakes at %d", s, m.Wake())
		}
	})
}

func TestWithoutLastGoodNothingIsKept(t *testing.T) {
	m := newTestMachine(Config[int]{LastGood: time.Hour})
	m.Consult(0, &good{key: "a", value: 1})
	m.Reconfigure(1, Config[int]{Steps: seven})
	m.Consult(2, &good{key: "a", value: 1})
	if s := m.Snapshot(2, patterns.Counts{}); s.Kept != 0 || m.Check() != nil || m.Wake() != patterns.Never {
		t.Errorf("%+v, %v", s, m.Check())
	}
}

func TestFallbacksAreToldOnceASecondWithTheLast(t *testing.T) {
	m := newTestMachine(Config[int]{Steps: seven})
	for i, by := range []string{"a", "b", "c"} {
		m.Consult(patterns.Instant(i), fell{by, errOwn})
		m.Consult(patterns.Instant(i), exhausted{&Error{Name: by}})
	}
	if at := m.Wake(); at != patterns.Instant(time.Second) {
		t.Errorf("it wakes at %d", at)
	}
	m.Tick(m.Wake() + 2)
	var got []string
	for e := range m.Drain() {
		switch e := e.(type) {
		case FellBack:
			got = append(got, fmt.Sprintf("%s%d%v", e.By, e.Count, same(e.Err, errOwn)))
		case Exhausted:
			got = append(got, fmt.Sprintf("%s%d", e.Err.Name, e.Count))
		}
	}
	if want := []string{"a1true", "a1", "c2true", "c2"}; !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

func TestWhatIsBrokenIsRepaired(t *testing.T) {
	for name, damage := range map[string]func(m *Machine[int]){
		"no plan":          func(m *Machine[int]) { m.plan = nil },
		"no list":          func(m *Machine[int]) { m.ages = nil },
		"a key too many":   func(m *Machine[int]) { m.kept["b"] = &good{} },
		"one out of place": func(m *Machine[int]) { m.kept["a"] = &good{key: "a"} },
		"no sweep":         func(m *Machine[int]) { m.sweep = patterns.Never },
		"too many":         func(m *Machine[int]) { m.cfg.MaxKeys = 0 },
		"from the future":  func(m *Machine[int]) { m.kept["a"].at = patterns.Never },
	} {
		m := newTestMachine(Config[int]{LastGood: time.Hour})
		m.Consult(1, &good{key: "c", value: 1})
		m.Consult(2, &good{key: "a", value: 1})
		if name == "from the future" {
			m.Consult(3, &good{key: "d", value: 1})
		}
		epoch := m.Epoch()
		damage(m)
		if m.Check() == nil {
			t.Errorf("%s: it is not seen", name)
		}
		m.Repair(5)
		if err := m.Check(); err != nil || m.Epoch() != epoch+1 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEventsReadWell(t *testing.T) {
	for _, tt := range []struct {
		e    patterns.Event
		want string
	}{
		{FellBack{Name: "f", By: "value", Err: errOwn, Count: 3, At: origin}, "event=fell-back guard=f by=value error=the function's own count=3"},
		{Exhausted{Name: "f", Err: &Error{Name: "f", Original: errOwn, Fallback: errOther}, Count: 3, At: origin}, `event=exhausted guard=f error=fallback "f": the function's own; and in its place: another count=3`},
		{ConfigChanged{Name: "f", Steps: "value", At: origin}, "event=config-changed guard=f steps=value last_good=0s"},
	} {
		got := strings.Trim(tt.e.LogValue().String(), "[]")
		if !strings.HasPrefix(got, tt.want) || tt.e.Source() != "f" {
			t.Errorf("%s, want %s", got, tt.want)
		}
	}
	if got := (&PanicError{Step: "func", Value: errOwn}); got.Error() != `fallback: step "func" panicked: the function's own` || !errors.Is(got, errOwn) {
		t.Error(got)
	}
	if got := (&PanicError{Value: 7}); got.Unwrap() != nil {
		t.Error(got)
	}
}
