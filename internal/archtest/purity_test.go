package archtest

import (
	"go/ast"
	"path"
	"slices"
	"strings"
	"testing"
)

// The rules of a pattern decide from what they are given and from nothing else, so
// that the same inputs give the same outputs in a test, a fuzzer and a simulation.
func TestRulesArePure(t *testing.T) { enforce(t, purity) }

// pureStd is what pure code may import of the standard library: nothing that reads a
// clock or the machine, waits, locks, or does I/O. log/slog is for LogValue only.
var pureStd = []string{
	"bytes", "cmp", "container/heap", "container/list", "encoding", "encoding/binary", "errors", "fmt", "hash", "hash/fnv",
	"hash/maphash", "iter", "log/slog", "maps", "math", "math/bits", "math/rand/v2", "path", "slices", "sort", "strconv",
	"strings", "time", "unicode", "unicode/utf8",
}

// impureNames are the exported names of allowed packages that pure code may not use.
var impureNames = map[string][]string{
	"time":         {"Now", "Since", "Until", "After", "AfterFunc", "NewTimer", "NewTicker", "Sleep", "Tick", "Timer", "Ticker"},
	"fmt":          {"Print", "Printf", "Println", "Scan", "Scanf", "Scanln", "Fprint", "Fprintf", "Fprintln"},
	"hash/maphash": {"MakeSeed"},
}

// pureOf are the names of packages that do more of which pure code may use only these.
var pureOf = map[string][]string{
	"github.com/redis/go-redis/v9": {"UniversalClient"},
	store: {
		"Algorithm", "TokenBucket", "SlidingLog", "Tier", "Law", "NewLaw", "Check", "Kind", "Take", "TakeUpTo", "Peek", "Return", "Reserve", "Cancel", "Booking", "Answer",
		"Fault", "Class", "NoAuth", "NoPermission", "Untrusted", "Protocol", "LawError", "ArgumentError", "KeyError",
	},
}

// pureRand are the names of math/rand/v2 that have no state of their own.
var pureRand = []string{"Rand", "Source", "New", "NewPCG", "PCG", "NewChaCha8", "ChaCha8", "NewZipf", "Zipf"}

// alwaysPure are the files that are pure even if they import actors: then that import
// is the mistake.
var alwaysPure = []string{"machine.go", "config.go", "errors.go"}

// ofHandles are files of handles that have no need to import actors, by folder, and those of
// what asks for one.
var ofHandles = map[string][]string{
	"patterns/hedge":               {"race.go", "attempt.go"},
	"patterns/outlier":             {"spread.go"},
	shared:                         {"carry.go", "url.go", "client.go"},
	shared + "/internal/store":     {"store.go", "script.go", "class.go"},
	"patterns/loadshedder/sampler": {"*"},
}

// shared is the limiter that several processes share.
const shared = "patterns/ratelimiter/redis"

// store is what asks for it.
const store = module + "/" + shared + "/internal/store"

// pure reports whether s is held to purity: everything below patterns/ except the
// files that import actors, which are handles, plus the pure leaves of supervisor/ and
// mailbox/, and what they share.
// The package patterns itself is the shared words, with Do and its context, and pipeline
// is Do in the order of several guards. A lazycontext is a context, which has a clock, and
// apart makes calls; they are parts of the handles that are policies.
func pure(s *source) bool {
	switch {
	case s.test(), helpsTests(s.dir()), s.under("patterns/internal/lazycontext"), s.under("patterns/internal/apart"):
		return false
	case s.under("patterns/internal"), supervision(s), s.under("internal/codel"), s.under("internal/growth"), s.under("mailbox/internal"):
		return true
	case path.Dir(s.path) == "patterns", !s.under("patterns"), s.under("patterns/pipeline"):
		return false
	case slices.Contains(ofHandles[s.dir()], s.base()), slices.Contains(ofHandles[s.dir()], "*"):
		return false
	case slices.Contains(alwaysPure, s.base()):
		return true
	}
	for _, p := range s.imports() {
		if p == module+"/actors" {
			return false
		}
	}
	return true
}

// supervision reports whether s is of a pure leaf of supervisor/.
func supervision(s *source) bool {
	return s.under("supervisor/intensity") || s.under("supervisor/backoff") || s.under("supervisor/budget") || s.under("supervisor/rules")
}

// machines are what the rules of supervision are made of: they use nothing but the
// machines of these packages.
var machines = []string{
	module + "/supervisor/intensity", module + "/supervisor/backoff", module + "/supervisor/budget", module + "/patterns/circuitbreaker",
}

// alsoPure is what pure code may import besides, by folder or file: the rules of others, and
// what is pure of the words for what is asked. A redis.UniversalClient is a value of a Config
// that rules hand on.
var alsoPure = map[string][]string{
	shared:                            {module + "/patterns/ratelimiter", module + "/patterns/circuitbreaker", store},
	shared + "/config.go":             {"github.com/redis/go-redis/v9"},
	shared + "/internal/store/key.go": {"crypto/sha256", "encoding/base64"},
}

// budgets is the package of the budgets that retries and hedges share: a Config has one.
const budgets = module + "/patterns/retry"

func purity(t *tree) []violation {
	v := t.collector()
	t.each(pure, func(s *source) {
		for _, spec := range s.Imports {
			p := strings.Trim(spec.Path.Value, `"`)
			if slices.Contains(alsoPure[s.dir()], p) || slices.Contains(alsoPure[s.path], p) {
				continue
			}
			if s.under("supervisor/rules") && slices.Contains(machines, p) || s.under("patterns/hedge") && p == budgets {
				continue
			}
			if !slices.Contains(pureStd, p) && p != module+"/patterns" && p != codel && p != growth && !within(p, module+"/patterns/internal") && !within(p, mailbox+"/internal") {
				v.add(spec, "pure code may not import %q: pass in what it needs as a value, or move this to the handle file, which imports actors", p)
			}
		}
		imports := s.imports()
		ast.Inspect(s.File, func(n ast.Node) bool {
			impure(v, s, imports, n)
			return true
		})
	})
	return v.found
}

func impure(v *violations, s *source, imports map[string]string, n ast.Node) {
	switch n := n.(type) {
	case *ast.GoStmt:
		v.add(n, "pure code may not start a goroutine: the shell in actors/ is what runs")
	case *ast.SelectStmt, *ast.SendStmt, *ast.ChanType:
		v.add(n, "pure code may not use channels: return a decision or an event and let the shell deliver it")
	case *ast.UnaryExpr:
		if n.Op.String() == "<-" {
			v.add(n, "pure code may not use channels: return a decision or an event and let the shell deliver it")
		}
	case *ast.SelectorExpr:
		pkg, name, ok := selected(imports, n)
		if !ok {
			return
		}
		// NB(errors): an error computes RetryAfter when it is asked, which is after the
		// machine made it and on the caller's goroutine.
		if pkg == "time" && s.base() == "errors.go" && (name == "Until" || name == "Since") {
			return
		}
		if few, ok := pureOf[pkg]; ok && !slices.Contains(few, name) {
			v.add(n, "pure code may not use %s.%s: it asks, or reads a clock", path.Base(pkg), name)
		}
		if slices.Contains(impureNames[pkg], name) {
			v.add(n, "pure code may not use %s.%s: take now, or what it would say, as an argument", path.Base(pkg), name)
		}
		if pkg == "math/rand/v2" && !slices.Contains(pureRand, name) {
			v.add(n, "pure code may not use rand.%s, which draws from a global source: take a *rand.Rand or the number itself", name)
		}
	}
}
