package archtest

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// Each rule is shown sources that break it, and sources that only look as if they did.
// A source is a file name and its text; want are the places that are found, as
// line: part of the message.
var sources = []struct {
	rule func(*tree) []violation
	name string
	file string
	text string
	want []string
}{
	{
		purity, "a machine that reads the clock, even under another name",
		"patterns/x/machine.go", "package x\nimport clock \"time\"\nvar _ = clock.Now()\nvar _ clock.Duration",
		[]string{"3: time.Now"},
	},
	{
		purity, "a machine that starts a goroutine or uses a channel",
		"patterns/x/machine.go", "package x\nfunc f(c chan int) {\ngo f(c)\nc <- 1\n<-c\nselect {}\n}",
		[]string{"2: channels", "3: goroutine", "4: channels", "5: channels", "6: channels"},
	},
	{
		purity, "a machine with a lock, an atomic, the network or an actor",
		"patterns/x/machine.go", "package x\nimport \"sync\"\nimport \"sync/atomic\"\nimport \"net\"\nimport \"" + actors + "\"\nimport \"" + protoActor + "\"",
		[]string{`2: "sync"`, `3: "sync/atomic"`, `4: "net"`, `5: "` + actors, `6: "` + protoActor},
	},
	{
		purity, "a machine that draws from the global source",
		"patterns/x/machine.go", "package x\nimport \"math/rand/v2\"\nfunc f(r *rand.Rand) { _ = r.IntN(3); _ = rand.IntN(3) }",
		[]string{"3: rand.IntN"},
	},
	{
		purity, "a machine that draws from the old global source",
		"patterns/x/machine.go", "package x\nimport \"math/rand\"\nvar _ = rand.Int()",
		[]string{`2: "math/rand"`},
	},
	{
		purity, "any other file that does not import actors is pure too",
		"patterns/x/window.go", "package x\nimport \"time\"\nfunc f() { time.Sleep(1); time.Until(time.Time{}) }",
		[]string{"3: time.Sleep", "3: time.Until"},
	},
	{
		purity, "shared maths are pure",
		"patterns/internal/window/window.go", "package window\nimport \"os\"",
		[]string{`2: "os"`},
	},
	{
		purity, "the count of restarts is pure",
		"supervisor/intensity/intensity.go", "package intensity\nimport \"time\"\nvar _ = time.Now()",
		[]string{"3: time.Now"},
	},
	{
		purity, "an error says how long to wait when it is asked",
		"patterns/x/errors.go", "package x\nimport \"time\"\nfunc f(t time.Time) time.Duration { return time.Until(t) }",
		nil,
	},
	{
		purity, "but an error does not sleep",
		"patterns/x/errors.go", "package x\nimport \"time\"\nfunc f() { time.Sleep(1) }",
		[]string{"3: time.Sleep"},
	},
	{
		purity, "a handle imports actors and may wait",
		"patterns/x/breaker.go", "package x\nimport (\"time\"; \"sync\"; \"" + actors + "\")\nvar _ = time.Now()",
		nil,
	},
	{
		purity, "a sampler is there to read the machine",
		"patterns/loadshedder/sampler/cpu.go", "package sampler\nimport \"os\"\nimport \"runtime/metrics\"",
		nil,
	},
	{
		purity, "what is there for tests reads files",
		"patterns/internal/xtest/x.go", "package xtest\nimport \"os\"\nimport \"testing\"",
		nil,
	},
	{
		purity, "a test may do as it likes",
		"patterns/x/machine_test.go", "package x\nimport \"time\"\nvar _ = time.Now()",
		nil,
	},

	{
		purity, "rules that are deeper than their pattern, and ask a client",
		shared + "/machine.go", "package redislimiter\nimport \"context\"\nimport \"time\"\nimport \"" + store + "\"\nvar _ = time.Now()\nvar _ store.Check\nvar _ = store.New(nil)",
		[]string{"2: pure code may not import", "5: pure code may not use time.Now", "7: pure code may not use store.New"},
	},
	{
		purity, "a client is a value of a Config, and of nothing else",
		shared + "/config.go", "package redislimiter\nimport \"github.com/redis/go-redis/v9\"\nvar _ redis.UniversalClient\nvar _ = redis.NewClient(nil)",
		[]string{"4: pure code may not use"},
	},
	{
		purity, "rules that have a client",
		shared + "/outage.go", "package redislimiter\nimport \"github.com/redis/go-redis/v9\"",
		[]string{"2: pure code may not import"},
	},
	{
		purity, "what is pure of a store",
		shared + "/internal/store/plan.go", "package store\nimport \"context\"\nfunc f(c chan int) {}",
		[]string{"2: pure code may not import", "3: pure code may not use channels"},
	},
	{
		purity, "what asks a server",
		shared + "/internal/store/store.go", "package store\nimport \"context\"\nimport \"sync\"",
		nil,
	},
	{
		purity, "a sampler reads the machine",
		"patterns/loadshedder/sampler/cpu.go", "package sampler\nimport \"os\"",
		nil,
	},

	{
		arrows, "the shared words import the standard library only",
		"patterns/do.go", "package patterns\nimport \"context\"\nimport \"" + actors + "\"\nimport \"go.uber.org/zap\"",
		[]string{"3: patterns may not import", "4: patterns may not import"},
	},
	{
		arrows, "a mailbox knows no pattern",
		"mailbox/m.go", "package mailbox\nimport \"" + patterns + "\"\nimport \"" + protoActor + "\"",
		[]string{"2: mailbox may not import"},
	},
	{
		arrows, "actors know no pattern's own package and no strategy",
		"actors/a.go", "package actors\nimport \"" + patterns + "/circuitbreaker\"\nimport \"" + module + "/supervisor\"\nimport \"" + module + "/supervisor/intensity\"",
		[]string{"2: actors may not import", "3: actors may not import"},
	},
	{
		arrows, "the core does not bring gRPC",
		"actors/a.go", "package actors\nimport \"" + protoact + "/remote\"",
		[]string{"2: actors may not import"},
	},
	{
		arrows, "one pattern does not know another",
		"patterns/x/handle.go", "package x\nimport \"" + patterns + "/circuitbreaker\"\nimport \"" + actors + "\"",
		[]string{"2: patterns/x may not import"},
	},
	{
		arrows, "a sampler knows neither who reads it nor actors",
		"patterns/loadshedder/sampler/cpu.go", "package sampler\nimport \"" + patterns + "/loadshedder\"\nimport \"" + actors + "\"\nimport \"github.com/shirou/gopsutil/v3/cpu\"",
		[]string{"2: patterns/loadshedder/sampler may not import", "3: patterns/loadshedder/sampler may not import"},
	},
	{
		arrows, "a shedder asks its sampler, and nobody else of the machine",
		"patterns/loadshedder/handle.go", "package loadshedder\nimport \"" + sampler + "\"\nimport \"" + actors + "\"\nimport \"github.com/shirou/gopsutil/v3/cpu\"",
		[]string{"4: patterns/loadshedder may not import"},
	},
	{
		arrows, "no other pattern asks it",
		"patterns/x/handle.go", "package x\nimport \"" + sampler + "\"",
		[]string{"2: patterns/x may not import"},
	},
	{
		arrows, "a pure leaf of supervisor knows nothing of actors",
		"supervisor/backoff/b.go", "package backoff\nimport \"" + actors + "\"",
		[]string{"2: supervisor/backoff may not import"},
	},
	{
		arrows, "nothing imports an integration, not even a test",
		"supervisor/s_test.go", "package supervisor\nimport \"" + module + "/integrations/zaplog\"\nimport \"" + module + "/examples/showcase\"\nimport \"" + module + "/bench\"",
		[]string{"2: nothing imports integrations", "3: nothing imports examples", "4: nothing imports bench"},
	},
	{
		arrows, "an example may use everything but the bench",
		"examples/x/main.go", "package main\nimport \"" + module + "/integrations/zaplog\"\nimport \"" + module + "/supervisor\"\nimport \"go.uber.org/zap\"",
		nil,
	},
	{
		arrows, "a handle does without what is there for tests",
		"patterns/x/handle.go", "package x\nimport \"" + patterns + "/internal/xtest\"\nimport \"" + patterns + "/internal/tested\"",
		[]string{"2: helps tests"},
	},
	{
		arrows, "and they use each other",
		"patterns/internal/xtest/x.go", "package xtest\nimport \"" + patterns + "/internal/ytest\"",
		nil,
	},
	{
		arrows, "somebody decides where a new package belongs",
		"utils/u.go", "package utils",
		[]string{"1: package utils is in no layer"},
	},
	{
		arrows, "no dot imports",
		"actors/a.go", "package actors\nimport . \"fmt\"",
		[]string{"2: dot import"},
	},

	{
		locks, "locks, by whatever name sync is imported",
		"actors/a.go", "package actors\nimport s \"sync\"\ntype a struct {\nm s.Mutex\nr *s.RWMutex\nx s.Map\nc s.Cond\no s.Once\np s.Pool\n}\nvar _ = s.OnceFunc",
		[]string{"4: sync.Mutex", "5: sync.RWMutex", "6: sync.Map", "7: sync.Cond", "8: sync.Once", "11: sync.OnceFunc"},
	},
	{
		locks, "a test may lock",
		"actors/a_test.go", "package actors\nimport \"sync\"\nvar m sync.Mutex",
		nil,
	},
	{
		atomics, "an atomic in a supervisor",
		"supervisor/s.go", "package supervisor\nimport \"sync/atomic\"",
		[]string{"2: no atomics"},
	},
	{
		atomics, "an atomic in any file of actors",
		"actors/shell.go", "package actors\nimport \"sync/atomic\"",
		[]string{"2: no atomics"},
	},
	{
		atomics, "an atomic in the reply slot",
		"actors/slot.go", "package actors\nimport \"sync/atomic\"",
		nil,
	},
	{
		atomics, "an atomic in a mailbox",
		"mailbox/queue.go", "package mailbox\nimport \"sync/atomic\"",
		nil,
	},

	{
		packageState, "variables that hold state",
		"actors/a.go", "package actors\nvar n int\nvar m = map[string]int{}\nvar p = &T{1}\nvar f = func() {}\nvar a, b = g()\nvar pool = sync.Pool{}\nvar t = []any{func() {}}\nvar c = make(chan int)\nfunc h() { m[\"x\"] = 1 }",
		[]string{"2: n is", "4: p is", "5: f is", "6: a is", "6: b is", "7: pool is", "8: t is", "9: c is", "10: m is a package-level table"},
	},
	{
		packageState, "tables that are changed: assigned, counted, deleted from, pointed into",
		"actors/a.go", "package actors\nvar s = []int{1}\nfunc f() {\ns = nil\ns[0]++\nclear(s)\n_ = &s[0]\ns := 1\ns = 2\n_ = s\n}",
		[]string{"4: s is", "5: s is", "6: s is", "7: s is"},
	},
	{
		packageState, "errors, assertions and tables that stay as they are",
		"actors/a.go", "package actors\nimport (\"errors\"; \"fmt\"; \"time\")\nvar ErrX = errors.New(\"x\")\nvar ErrY = fmt.Errorf(\"y: %w\", ErrX)\nvar errZ = &rejection{\"z\"}\nvar _ I = (*T)(nil)\nfunc f() { _ = 1 }\nvar steps = [...]struct{ d time.Duration; s string }{{5 * time.Second, \"a\"}, {-1, \"b\"}}",
		nil,
	},

	{
		sleeps, "a test that sleeps, waits or skips",
		"actors/a_test.go", "package actors\nimport \"time\"\nfunc TestX(t *testing.T) {\ntime.Sleep(1)\n<-time.After(1)\nt.Skip()\nrequire.Eventually(t, f)\nselect {\ncase <-time.After(1):\n}\n}",
		[]string{"4: time.Sleep", "5: time.After", "6: skips", "7: retries", "9: time.After"},
	},
	{
		sleeps, "in a bubble sleeping takes no time",
		"actors/a_test.go", "package actors\nimport (\"time\"; \"testing/synctest\")\nfunc TestX(t *testing.T) {\nsynctest.Test(t, func(t *testing.T) { go func() { time.Sleep(1) }() })\nsynctest.Test(t, body)\nwrapped(t, func() { time.Sleep(1) })\n}\nfunc body(t *testing.T) { time.Sleep(1) }\n\n// settle lets time pass.\n//\n//bulwark:bubble\nfunc settle() { <-time.After(1) }\n\n//bulwark:bubble\nfunc wrapped(t *testing.T, f func()) { synctest.Test(t, func(*testing.T) { f() }) }",
		nil,
	},
	{
		sleeps, "a time-out that ends a hung test",
		"actors/a_test.go", "package actors\nimport \"time\"\nfunc TestX(t *testing.T) {\nselect {\ncase <-time.After(1):\nt.Fatal()\n}\n}",
		nil,
	},
	{
		sleeps, "skipping by the way that tests are run, or an input that a fuzzer made",
		"actors/a_test.go", "package actors\nfunc TestX(t *testing.T) {\nif os.Getenv(\"BULWARK_SOAK\") == \"\" {\nt.Skip()\n}\nif raceEnabled { t.Skip() }\nif runtime.NumCPU() < 2 { t.Skip() }\n}\nfunc FuzzX(f *testing.F) { f.Fuzz(func(t *testing.T, b []byte) { t.Skip() }) }",
		[]string{"7: skips"},
	},

	{
		sizes, "a file too long to read",
		"actors/a.go", "package actors" + strings.Repeat("\n", maxLines+1),
		[]string{"1: 501 lines"},
	},
	{
		sizes, "a test may be longer, and so may what is generated",
		"actors/a_test.go", "package actors" + strings.Repeat("\n", maxLines+1),
		nil,
	},
}

func TestEachRuleFindsWhatBreaksItAndNothingElse(t *testing.T) {
	for _, c := range sources {
		t.Run(c.name, func(t *testing.T) {
			repo, err := parseTree(fstest.MapFS{c.file: {Data: []byte(c.text)}})
			if err != nil {
				t.Fatal(err)
			}
			got := c.rule(repo)
			for _, v := range got {
				if !slices.ContainsFunc(c.want, func(w string) bool { return is(v, c.file, w) }) {
					t.Errorf("unexpected: %s", v)
				}
			}
			for _, w := range c.want {
				if !slices.ContainsFunc(got, func(v violation) bool { return is(v, c.file, w) }) {
					t.Errorf("not found: %s\nfound: %v", w, got)
				}
			}
		})
	}
}

func is(v violation, file, want string) bool {
	line, part, _ := strings.Cut(want, ": ")
	return v.at == file+":"+line && strings.Contains(v.msg, part)
}

func TestHintsAreGivenForCrowdedFolders(t *testing.T) {
	fsys := fstest.MapFS{"actors/long_test.go": {Data: []byte("package actors" + strings.Repeat("\n", manyTestLines+1))}}
	for c := range manyFilesInDir + 1 {
		fsys["actors/"+string(rune('a'+c))+".go"] = &fstest.MapFile{Data: []byte("package actors")}
	}
	repo, err := parseTree(fsys)
	if err != nil {
		t.Fatal(err)
	}
	if got := crowded(repo); len(got) != 2 {
		t.Errorf("hints %v, want one for the folder and one for the test", got)
	}
}

func TestHiddenFoldersAndTestdataAreNotRead(t *testing.T) {
	bad := &fstest.MapFile{Data: []byte("not Go")}
	repo, err := parseTree(fstest.MapFS{".x/a.go": bad, "_x/a.go": bad, "a/testdata/a.go": bad, "a/b.txt": bad})
	if err != nil || len(repo.files) != 0 {
		t.Errorf("%d files, error %v", len(repo.files), err)
	}
}
