package reasons

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// reason is one with which a guard refuses.
type reason struct {
	pattern, code string
	sentinel      error
	// codeOf returns the code in the pattern's typed error; ok is false if err has none.
	codeOf func(err error) (code string, ok bool)
	after  bool   // RetryAfter is known
	event  string // what the event that tells of it has in it; "" if there is none
	// produce has a guard of that name refuse with it, and returns what the caller gets.
	produce func(s *stage) error
}

func (r reason) name() string { return r.pattern + " " + r.code }

func TestEveryReasonIsProducedAndReachesItsCaller(t *testing.T) {
	for _, r := range reasons() {
		t.Run(r.name(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				guards := actorstest.NewRegistry(t)
				events, stop := guards.Subscribe(actors.Buffer(10_000))
				defer stop()
				s := &stage{T: t, guards: guards}
				time.Sleep(ms) // at the very first instant a call's time is not known
				err := r.produce(s)
				if !errors.Is(err, patterns.ErrRejected) || !errors.Is(err, r.sentinel) {
					t.Errorf("%v is no refusal that matches %v", err, r.sentinel)
				}
				if code, ok := r.codeOf(err); !ok || code != r.code {
					t.Errorf("code %q, %v of %v", code, ok, err)
				}
				if after, known := patterns.RetryAfter(err); r.after && (!known || after <= 0) {
					t.Errorf("retry after %v, known %v", after, known)
				}
				time.Sleep(time.Second) // some events wait for whether it was only for a moment
				synctest.Wait()
				said := r.event == ""
				for len(events) > 0 {
					event := <-events
					said = said || strings.Contains(event.LogValue().String(), r.event)
				}
				if !said {
					t.Errorf("no event has %q in it", r.event)
				}
				s.finish()
			})
		})
	}
}

// elsewhere are reasons that need a guard with broken state, one whose turn is held up, or
// actors of a user's: the file and the test that produce each.
var elsewhere = map[string][2]string{
	"circuitbreaker repaired": {"patterns/circuitbreaker/operate_test.go", "TestCheckFindsEachBrokenInvariantAndRepairMends"},
	"actors overloaded":       {"actors/rejection_test.go", "TestAMailboxThatIsFullRefuses"},
	"actors queue-full":       {"actors/queue_test.go", "TestNobodyWaitsWhomTheRulesForgetToRefuse"},
	"actors cancelled":        {"actors/holders_test.go", "TestWhatAStoppedHolderHeldAndWaitedForComesBack"},
	"middleware rejected":     {"actors/middleware/receiver_test.go", "TestARefusedMessageIsAnsweredWithWhoRefusedItAndWhenToComeAgain"},
	"pool no-member":          {"actors/pool/pool_test.go", "TestWhenAllAreOpenTheRequesterIsToldWhenTheFirstWillNotBe"},
	"supervisor away":         {"supervisor/breaker_test.go", "TestBreakerSupervision"},
}

// states are causes of changes of state, and of openings that end: nobody is refused for them.
var states = []string{
	"CauseNone", "CauseForcedElapsed", "CauseReset", "CauseOpenElapsed", "CauseProbesPassed",
}

var refusing = []string{"adaptive", "backpressure", "bulkhead", "circuitbreaker", "loadshedder", "ratelimiter"}

func TestNoReasonIsForgotten(t *testing.T) {
	produced := map[string]bool{}
	for _, r := range reasons() {
		produced[r.name()] = true
	}
	for name, at := range elsewhere {
		text, err := os.ReadFile("../../" + at[0])
		if err != nil || !strings.Contains(string(text), "\nfunc "+at[1]+"(") {
			t.Errorf("%s: there is no %s in %s, %v", name, at[1], at[0], err)
		}
		produced[name] = true
	}
	for _, name := range actorReasons(t) {
		if !produced["actors "+name] {
			t.Errorf("no test produces the refusal %s of actors", name)
		}
	}
	for _, pattern := range refusing {
		for name, code := range causes(t, pattern) {
			// Of a repair only a breaker that was open when it broke refuses, and goes on to.
			state := slices.Contains(states, name) || name == "CauseRepaired" && pattern != "circuitbreaker"
			if full := pattern + " " + code; !state && !produced[full] {
				t.Errorf("no test produces %s (%s)", full, name)
			}
		}
		for _, name := range refusalTypes(t, "../../patterns/"+pattern) {
			if code, special := types[name]; special && !produced[pattern+" "+code] {
				t.Errorf("no test produces %s.%s", pattern, name)
			} else if !special && !slices.Contains(coded, name) {
				t.Errorf("%s.%s is a refusal that this test does not know", pattern, name)
			}
		}
	}
	for _, dir := range []string{"timeout", "pipeline"} {
		for _, name := range refusalTypes(t, "../../patterns/"+dir) {
			if !produced[dir+" "+types[name]] {
				t.Errorf("no test produces %s.%s", dir, name)
			}
		}
	}
}

// coded are the types of refusals that have a Cause, and types the codes of those that have none.
var (
	coded = []string{"LimitError", "PressureError", "FullError", "OpenError", "ShedError"}
	types = map[string]string{
		"WeightError": "weight", "KeyError": "key", "AbandonedError": "abandoned", "SpendError": "spend",
	}
)

// causes returns the codes of a pattern by the names of their constants.
func causes(t *testing.T, pattern string) map[string]string {
	found := map[string]string{}
	for _, f := range parse(t, "../../patterns/"+pattern) {
		ast.Inspect(f, func(n ast.Node) bool {
			v, ok := n.(*ast.ValueSpec)
			if !ok || len(v.Values) != 1 {
				return true
			}
			if of, ok := v.Type.(*ast.Ident); ok && of.Name == "Cause" {
				code, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				found[v.Names[0].Name] = code
			}
			return true
		})
	}
	if len(found) < 3 {
		t.Fatalf("%s: found %v", pattern, found)
	}
	return found
}

// capital begins a word within a name.
var capital = regexp.MustCompile("[A-Z]")

// actorReasons returns the refusals that a guard's actor has, as codes.
func actorReasons(t *testing.T) (codes []string) {
	for _, f := range parse(t, "../../actors") {
		ast.Inspect(f, func(n ast.Node) bool {
			of, ok := n.(*ast.TypeSpec)
			if !ok || of.Name.Name != "refusals" {
				return true
			}
			for _, field := range of.Type.(*ast.StructType).Fields.List {
				for _, name := range field.Names {
					codes = append(codes, strings.ToLower(capital.ReplaceAllString(name.Name, "-$0")))
				}
			}
			return false
		})
	}
	if len(codes) < 8 {
		t.Fatalf("found %v", codes)
	}
	return codes
}

// refusalTypes returns the types whose Is or Unwrap speaks of patterns.ErrRejected.
func refusalTypes(t *testing.T, dir string) []string {
	found := map[string]bool{}
	for _, f := range parse(t, dir) {
		for _, d := range f.Decls {
			m, ok := d.(*ast.FuncDecl)
			if !ok || m.Recv == nil || m.Name.Name != "Is" && m.Name.Name != "Unwrap" {
				continue
			}
			ast.Inspect(m.Body, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "ErrRejected" {
					found[m.Recv.List[0].Type.(*ast.StarExpr).X.(*ast.Ident).Name] = true
				}
				return true
			})
		}
	}
	return slices.Sorted(maps.Keys(found))
}

func parse(t *testing.T, dir string) (files []*ast.File) {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// documented is a row of the table of reasons: pattern, code, meaning, what to do.
var documented = regexp.MustCompile("(?m)^\\| `([a-z]+)` \\| `([a-z-]+)` \\| ([^|]+) \\| ([^|]+) \\|$")

func TestEveryReasonIsInTheTableAndNoOther(t *testing.T) {
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for _, r := range reasons() {
		want[r.name()] = true
	}
	for name := range elsewhere {
		want[name] = true
	}
	for _, row := range documented.FindAllStringSubmatch(string(page), -1) {
		if name := row[1] + " " + row[2]; !want[name] {
			t.Errorf("%s is documented, or twice, and not produced", name)
		} else {
			delete(want, name)
		}
	}
	for name := range want {
		t.Errorf("%s is not documented", name)
	}
}
