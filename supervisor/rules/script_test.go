package rules

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/bulwark-go/bulwark/patterns"
)

// script drives a Machine with words. Children are called a, b, c …
type script struct {
	m     *Machine
	gated bool
}

func newScript(cfg Config, gated bool, children string) *script {
	s := &script{m: New(Params{Config: cfg}), gated: gated}
	for _, name := range strings.Fields(children) {
		name, kind, _ := strings.Cut(name, ":")
		s.m.Add(0, id(name), map[string]RestartType{"": Transient, "permanent": Permanent, "temporary": Temporary}[kind])
	}
	return s
}

func id(name string) ID   { return ID(name[0]-'a') + 1 }
func nameOf(id ID) string { return string(rune('a' + id - 1)) }

// do carries out one line at a time, and returns the effects as words.
func (s *script) do(at int, line string) string {
	now := patterns.Instant(at)
	words := strings.Fields(line)
	arg := func(i int) string {
		if i < len(words) {
			return words[i]
		}
		return ""
	}
	switch words[0] {
	case "add":
		s.m.Add(now, id(words[1]), Transient)
	case "fail", "unspawned":
		verdict := map[string]Directive{"": Restart, "stop": Stop, "resume": Resume, "escalate": Escalate}[arg(2)]
		s.m.Failed(now, Failure{Child: id(words[1]), Verdict: verdict, Gated: s.gated, Unspawned: words[0] == "unspawned"})
	case "gone":
		s.m.Gone(now, id(words[1]), 0)
	case "passed":
		var probe uint64
		if c := s.m.children.get(id(words[1])); c != nil {
			probe = c.probe // the latest
		}
		if n, err := strconv.Atoi(arg(2)); err == nil {
			probe = uint64(n)
		}
		s.m.Passed(now, id(words[1]), probe)
	case "release":
		if !s.m.Release(now, id(words[1])) {
			return "no"
		}
	case "dismiss":
		if !s.m.Dismiss(now, id(words[1])) {
			return "no"
		}
	case "retire":
		if !s.m.Retire(now, id(words[1])) {
			return "no"
		}
	case "settled":
		n, _ := strconv.Atoi(words[1])
		s.m.Settled(uint64(n))
	case "tick":
		s.m.Tick(now)
	case "leave":
		s.m.Leave(now)
	case "enter":
		s.m.Enter()
	case "handed-up":
		s.m.HandedUp()
	case "wake":
		if s.m.Wake() == patterns.Never {
			return "never"
		}
		return strconv.Itoa(int(s.m.Wake()))
	default:
		panic("what is " + line)
	}
	var said []string
	for _, e := range s.m.Effects() {
		said = append(said, say(e))
	}
	return strings.Join(said, ", ")
}

func say(e Effect) string {
	until := ""
	if e.Until != patterns.Never && (e.Do == DoChanged || e.Do == DoShut || e.Do == DoGroup) {
		until = fmt.Sprintf(" until %d", e.Until)
	}
	switch e.Do {
	case DoChanged:
		return fmt.Sprintf("%s %v>%v %s%s", nameOf(e.Child), e.From, e.To, e.Cause, until)
	case DoGroup:
		return fmt.Sprintf("group %v>%v %s%s", e.From, e.To, e.Cause, until)
	case DoSettle:
		return fmt.Sprintf("settle %d", e.Barrier)
	case DoProbe:
		return fmt.Sprintf("probe %s %d", nameOf(e.Child), e.Pass)
	case DoShut:
		return fmt.Sprintf("shut %s%s", nameOf(e.Child), until)
	case DoGiveUp:
		return fmt.Sprintf("give-up %s %s", nameOf(e.Child), e.Cause)
	}
	return fmt.Sprintf("%v %s", e.Do, nameOf(e.Child))
}

type line struct {
	at   int
	do   string
	want string
}

type scene struct {
	name     string
	cfg      Config
	gated    bool
	children string
	lines    []line
}

func play(t *testing.T, scenes []scene) {
	t.Helper()
	for _, sc := range scenes {
		t.Run(sc.name, func(t *testing.T) {
			s := newScript(sc.cfg, sc.gated, sc.children)
			for i, l := range sc.lines {
				if got := s.do(l.at, l.do); got != l.want {
					t.Errorf("line %d, at %d, %s:\n got %q\nwant %q", i, l.at, l.do, got, l.want)
				}
				if wake := s.m.Wake(); strings.HasPrefix(l.do, "tick") && wake <= s.m.hi {
					t.Errorf("line %d: ticked at %d, and wants to be woken at %d", i, l.at, wake)
				}
			}
		})
	}
}
