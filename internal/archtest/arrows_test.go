package archtest

import (
	"path"
	"strings"
	"testing"
)

// Who may import whom is the architecture. A new arrow is a decision: make it here.
func TestImportsFollowTheArrows(t *testing.T) { enforce(t, arrows) }

// layer says what the non-test files of some packages may import besides the standard
// library. An entry ending in /... covers what is below it too; "..." alone is anything.
type layer struct {
	dir string // of the packages; a last element of * is any one element
	may []string
}

const (
	patterns = module + "/patterns"
	actors   = module + "/actors"
	mailbox  = module + "/mailbox"
	codel    = module + "/internal/codel"  // a rule that patterns and mailboxes share
	growth   = module + "/internal/growth" // one that patterns and supervisors share
	// What a core package may use of proto.actor: remote and cluster bring gRPC.
	protoActor       = protoact + "/actor"
	protoEventStream = protoact + "/eventstream"
)

// sampler is the one package below patterns/ that reads the machine.
const sampler = patterns + "/loadshedder/sampler"

// ofPatterns is what a pattern may import.
var ofPatterns = []string{
	patterns, patterns + "/internal/...", actors, mailbox,
	module + "/supervisor/intensity", growth, protoActor, protoEventStream,
}

// layers is read in order: the first entry that fits a package is its own.
var layers = []layer{
	{"patterns", nil},
	{"patterns/internal/...", []string{patterns, patterns + "/internal/...", codel, growth}},
	{"patterns/loadshedder/sampler", []string{patterns, patterns + "/internal/...", "github.com/shirou/gopsutil/v3/..."}},
	{"patterns/loadshedder", append([]string{sampler}, ofPatterns...)},
	{"patterns/pipeline", []string{patterns}},
	{"patterns/hedge", append([]string{patterns + "/retry"}, ofPatterns...)}, // whose budgets it shares
	{"patterns/ratelimiter/redis", append([]string{
		patterns + "/circuitbreaker", patterns + "/ratelimiter", patterns + "/ratelimiter/redis/internal/store", "github.com/redis/go-redis/v9",
	}, ofPatterns...)},
	{"patterns/ratelimiter/redis/internal/store", []string{patterns + "/internal/rate", "github.com/redis/go-redis/v9"}},
	{"patterns/*", ofPatterns},
	{"actors/actorstest", []string{actors, actors + "/internal/...", patterns, mailbox, protoActor, protoEventStream}},
	{"actors/internal/attempts", []string{actors, patterns}},
	{"actors/pool", []string{
		actors, actors + "/...", patterns, patterns + "/circuitbreaker", mailbox, module + "/supervisor", protoActor,
	}},
	{"actors/exchange", []string{actors, actors + "/internal/...", patterns, mailbox, protoActor}},
	{"actors/middleware", []string{actors, actors + "/internal/...", patterns, mailbox, protoActor, protoact + "/ctxext"}},
	{"actors", []string{
		patterns, mailbox, actors + "/internal/...", protoActor, protoEventStream,
		// A pure leaf, so that the root supervisor of actors and the strategies of
		// supervisor, which imports actors, count restarts by the same rules.
		module + "/supervisor/intensity",
	}},
	{"actors/internal/...", []string{patterns, mailbox, actors + "/internal/...", protoActor, protoEventStream}},
	{"mailbox", []string{mailbox + "/internal/...", protoActor}},
	{"mailbox/internal/...", []string{mailbox + "/internal/...", protoActor, codel}},
	{"supervisor/intensity", []string{patterns}},
	{"supervisor/backoff", []string{patterns, growth}},
	{"supervisor/budget", []string{patterns}},
	{"supervisor/rules", []string{
		patterns, patterns + "/circuitbreaker", module + "/supervisor/intensity", module + "/supervisor/backoff", module + "/supervisor/budget",
	}},
	{"supervisor", []string{actors, mailbox, patterns + "/...", module + "/supervisor/...", protoActor, protoEventStream}},
	{"config", []string{patterns + "/...", actors, "go.yaml.in/yaml/v3"}},
	{"internal/archtest", nil},
	{"internal/codel", nil},
	{"internal/growth", nil},
	{"internal/hosttest", []string{"..."}},
	{"internal/modgraph", nil},
	{"internal/reasons", []string{"..."}},
	{"internal/retryafter", nil},
	{"internal/redisserver", []string{"github.com/redis/go-redis/v9"}},
	{"internal/redistest", []string{module + "/internal/redisserver", "github.com/redis/go-redis/v9", "go.uber.org/goleak"}},
	{"internal/simulation", []string{patterns}},
	{"internal/snippets", []string{"..."}},
	{"integrations/...", []string{"..."}},
	{"examples/...", []string{"..."}},
	{"bench/...", []string{"..."}},
}

// ends are the packages that nobody imports, and who may all the same.
var ends = map[string][]string{
	"config":       {"internal/snippets", "examples"}, // what a program is made with, at its very end
	"integrations": {"internal/snippets", "integrations", "examples", "bench"},
	"examples":     {"examples"},
	// It starts processes: nothing that a user's program is made of.
	"internal/redisserver": {"internal/redisserver", "internal/redistest", "examples", "bench"},
	"bench":                {"bench"},
}

func arrows(t *tree) []violation {
	v := t.collector()
	for _, s := range t.files {
		l, known := layerOf(s.dir())
		if !known {
			v.add(s.Name, "package %s is in no layer: decide what it may import, and say so in layers", s.dir())
			continue
		}
		for _, spec := range s.Imports {
			p := strings.Trim(spec.Path.Value, `"`)
			if end, allowed := ending(s.dir(), p); end != "" && !allowed {
				v.add(spec, "nothing imports %s/: move what is shared to the package that it is about", end)
				continue
			}
			if rel, own := strings.CutPrefix(p, module+"/"); own && helpsTests(rel) && !s.test() && !helpsTests(s.dir()) {
				v.add(spec, "%s helps tests, and only they import it", rel)
				continue
			}
			if !s.test() && !std(p) && !allows(l.may, p) {
				v.add(spec, "%s may not import %q: see layers for what it may, and turn the arrow round with an interface, a value or a message", s.dir(), p)
			}
			if spec.Name != nil && spec.Name.Name == "." {
				v.add(spec, "a dot import hides where names come from")
			}
		}
	}
	return v.found
}

// helpsTests reports whether dir is a package below patterns/internal/ or internal/ that is
// there for tests: its name ends in test.
func helpsTests(dir string) bool {
	return (path.Dir(dir) == "patterns/internal" || path.Dir(dir) == "internal") && strings.HasSuffix(dir, "test")
}

func layerOf(dir string) (layer, bool) {
	for _, l := range layers {
		if fits(l.dir, dir) {
			return l, true
		}
	}
	return layer{}, false
}

func fits(pattern, dir string) bool {
	if below, ok := strings.CutSuffix(pattern, "/..."); ok {
		return within(dir, below)
	}
	ok, _ := path.Match(pattern, dir)
	return ok
}

func allows(may []string, p string) bool {
	for _, m := range may {
		if m == "..." || fits(m, p) {
			return true
		}
	}
	return false
}

// ending returns which end p is part of, if any, and whether dir may import it.
func ending(dir, p string) (end string, allowed bool) {
	rel, ok := strings.CutPrefix(p, module+"/")
	if !ok {
		return "", true
	}
	for end, from := range ends {
		if !within(rel, end) {
			continue
		}
		for _, f := range from {
			if within(dir, f) {
				return end, true
			}
		}
		return end, false
	}
	return "", true
}
