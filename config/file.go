package config

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bulwark-go/bulwark/patterns/pipeline"
)

// File is what a file declares, read and checked. It does not change, and is safe for
// concurrent use.
type File struct {
	reading   *reading
	sum       [sha256.Size]byte // of its text
	guards    []declaration     // in the order of the file
	pipelines []pipe            // those that are parts of others first
}

// declaration is a guard.
type declaration struct {
	section
	name string
}

// pipe is a pipeline.
type pipe struct {
	Place
	name  string
	parts []string
}

// reading is how a file is read.
type reading struct {
	*catalog
	name    string // of the file
	prefix  string // of variables
	environ func() []string
}

// Option says how Load and Parse read.
type Option func(*reading)

// EnvPrefix sets with what the variables begin that override a file's settings. The
// default is DefaultEnvPrefix.
func EnvPrefix(prefix string) Option { return func(r *reading) { r.prefix = prefix } }

// Environ sets the variables, each as "NAME=value"; none at all leaves the file as it is.
// The default is os.Environ, as of when the file is read.
func Environ(variables ...string) Option {
	variables = slices.Clone(variables)
	return func(r *reading) { r.environ = func() []string { return variables } }
}

// Name sets what the faults call a text that Parse reads. The default is "config".
func Name(name string) Option { return func(r *reading) { r.name = name } }

// DefaultEnvPrefix begins the names of variables that override settings:
// BULWARK_GUARDS_PAYMENTS_OPEN_FOR is open_for of the guard payments.
const DefaultEnvPrefix = "BULWARK_GUARDS_"

func newReading(name string, opts []Option) *reading {
	r := &reading{catalog: newCatalog(), name: name, prefix: DefaultEnvPrefix, environ: os.Environ}
	for _, o := range opts {
		if o != nil {
			o(r)
		}
	}
	return r
}

// Load reads the file at path. The error is that of reading it, or every *Fault in it,
// joined.
func Load(path string, opts ...Option) (*File, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return newReading(filepath.Base(path), opts).parse(data)
}

// readFile reads no more than what is too much.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was read
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return data, nil
}

// Parse reads the text of a file. The error is every *Fault in it, joined.
func Parse(data []byte, opts ...Option) (*File, error) {
	return newReading("config", opts).parse(data)
}

// Guards iterates over the guards in the order of the file, with the pattern's Config of
// each.
func (f *File) Guards() iter.Seq2[string, any] {
	return func(yield func(string, any) bool) {
		for _, g := range f.guards {
			if !yield(g.name, g.config) {
				return
			}
		}
	}
}

// Pipelines iterates over the pipelines in the order of their names, with the names of
// their parts, outermost first.
func (f *File) Pipelines() iter.Seq2[string, []string] {
	byName := map[string][]string{}
	for _, p := range f.pipelines {
		byName[p.name] = p.parts
	}
	return func(yield func(string, []string) bool) {
		for _, name := range slices.Sorted(maps.Keys(byName)) {
			if !yield(name, slices.Clone(byName[name])) {
				return
			}
		}
	}
}

func (r *reading) parse(data []byte) (*File, error) {
	f := &File{reading: r, sum: sha256.Sum256(data)}
	found := &faults{}
	p := &yamlReader{faults: found, place: func(line, column int) Place { return Place{File: r.name, Line: line, Column: column} }}
	if root := p.parse(bytes.Clone(data)); root != nil {
		f.read(root, found)
	}
	if err := found.err(); err != nil {
		return nil, err
	}
	return f, nil
}

func (f *File) read(root *node, found *faults) {
	if root.shape != mapping {
		found.add(root.Place, "", "is %v, not a mapping with guards and pipelines", root.shape)
		return
	}
	for _, e := range root.keys {
		switch e.key {
		case "guards", "pipelines":
		case "$schema": // for editors of JSON
			if e.value.shape != scalar {
				found.add(e.value.Place, e.key, "is %v, not a text", e.value.shape)
			}
		default:
			found.add(e.Place, brief(e.key), "unknown key (allowed: guards, pipelines)")
		}
	}
	names := f.readGuards(root, found)
	f.readPipelines(root, names, found)
}

// readGuards returns the names of all guards, those with faults too.
func (f *File) readGuards(root *node, found *faults) map[string]Place {
	names := map[string]Place{}
	guards := root.get("guards")
	if guards == nil || guards.shape != mapping || len(guards.keys) == 0 {
		at := root.Place
		if guards != nil {
			at = guards.Place
		}
		found.add(at, "guards", "must be a mapping of at least one guard's name to its pattern")
		return names
	}
	var settings []setting
	for _, e := range guards.keys {
		path := join("guards", brief(e.key))
		names[e.key] = e.Place
		if problem := badName(e.key); problem != "" {
			found.add(e.Place, path, "%s", problem)
		}
		if s, ok := f.pattern(e, path, found); ok {
			settings = append(settings, s)
		}
	}
	f.reading.override(settings, found)
	for _, s := range settings {
		g := declaration{name: s.guard, section: section{Place: s.Place, kind: s.kind, path: s.path, spots: map[string]spot{}}}
		(&decoder{f.reading.catalog, found, &g.section}).read(s.node)
		f.guards = append(f.guards, g)
	}
	f.checkBudgets(names, found)
	return names
}

// checkBudgets sees to it that what guards share is there.
func (f *File) checkBudgets(names map[string]Place, found *faults) {
	shared := f.shared()
	for _, g := range f.guards {
		if _, there := names[g.refers]; g.refers != "" && !shared[g.refers] {
			at, problem := g.spots["Budget"], "is no guard of this file"
			if there {
				problem = "is no retrybudget"
			}
			found.add(at.Place, at.path, "%s %s", brief(g.refers), problem)
		}
	}
}

// shared returns the names of guards that are no parts of pipelines.
func (f *File) shared() map[string]bool {
	names := map[string]bool{}
	for _, g := range f.guards {
		if g.kind.shared {
			names[g.name] = true
		}
	}
	return names
}

// setting is the section of a guard before it is read.
type setting struct {
	Place
	guard string
	path  string
	kind  kind
	node  *node
}

// pattern reads the one key of a guard.
func (f *File) pattern(e entry, path string, found *faults) (s setting, ok bool) {
	allowed := strings.Join(f.reading.kindNames(), ", ")
	if e.value.shape != mapping || len(e.value.keys) != 1 {
		found.add(e.value.Place, path, "must be a mapping of one pattern to its settings (allowed: %s)", allowed)
		return s, false
	}
	inner := e.value.keys[0]
	k, ok := f.reading.kind(inner.key)
	if !ok {
		found.add(inner.Place, join(path, brief(inner.key)), "unknown pattern (allowed: %s)", allowed)
		return s, false
	}
	return setting{Place: inner.Place, guard: e.key, path: join(path, k.name), kind: k, node: inner.value}, true
}

// maxName is how many bytes a name may have.
const maxName = 128

func badName(name string) string {
	ok := name != "" && len(name) <= maxName
	for i := range len(name) {
		c := name[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9'
		ok = ok && (letter || i > 0 && strings.IndexByte("_-.", c) >= 0)
	}
	if ok {
		return ""
	}
	return fmt.Sprintf("a name is 1 to %d letters, digits, _, - and ., and begins with a letter or digit", maxName)
}

func (f *File) readPipelines(root *node, guards map[string]Place, found *faults) {
	n := root.get("pipelines")
	if n == nil {
		return
	}
	if n.shape != mapping {
		found.add(n.Place, "pipelines", "is %v, not a mapping of names to lists of guards", n.shape)
		return
	}
	l := &lines{faults: found, guards: guards, shared: f.shared(), nodes: map[string]*node{}, state: map[string]progress{}, flat: map[string][]string{}}
	for _, e := range n.keys {
		path := join("pipelines", brief(e.key))
		if problem := badName(e.key); problem != "" {
			found.add(e.Place, path, "%s", problem)
		}
		if at, taken := guards[e.key]; taken {
			found.add(e.Place, path, "is the name of a guard too, at %v", at)
		}
		if e.value.shape != list || len(e.value.items) == 0 {
			found.add(e.value.Place, path, "must be a list of at least one guard")
		}
		l.nodes[e.key] = e.value
	}
	for _, e := range n.keys {
		l.lay(e.key)
	}
	f.pipelines = l.laid
}

// lines brings pipelines into an order in which parts come before what they are parts of.
type lines struct {
	faults *faults
	guards map[string]Place
	shared map[string]bool
	nodes  map[string]*node
	state  map[string]progress
	flat   map[string][]string // the guards of each, of its parts too
	laid   []pipe
}

type progress uint8

const (
	unseen progress = iota
	laying
	done
)

// lay lays the pipeline of that name, after those that it has for parts. A chain of parts
// is no longer than a pipeline may have guards.
func (l *lines) lay(name string) {
	n := l.nodes[name]
	if l.state[name] != unseen {
		return
	}
	l.state[name] = laying
	p := pipe{Place: n.Place, name: name}
	for i, item := range n.items {
		path := fmt.Sprintf("pipelines.%s[%d]", brief(name), i)
		_, guard := l.guards[item.text]
		_, line := l.nodes[item.text]
		switch {
		case item.shape != scalar || !guard && !line:
			l.faults.add(item.Place, path, "%s is no guard and no pipeline of this file (there are: %s)", brief(item.String()), l.known())
			continue
		case l.shared[item.text]:
			l.faults.add(item.Place, path, "%s is shared by retries, and no part of a pipeline", brief(item.text))
			continue
		case guard:
			l.flat[name] = append(l.flat[name], item.text)
		case l.state[item.text] == laying:
			l.faults.add(item.Place, path, "pipeline %s is a part of itself", brief(item.text))
			continue
		default:
			l.lay(item.text)
			l.flat[name] = append(l.flat[name], l.flat[item.text]...)
		}
		p.parts = append(p.parts, item.text)
		l.flat[name] = l.flat[name][:min(len(l.flat[name]), pipeline.MaxGuards+1)] // one too many is enough
	}
	l.check(p)
	l.state[name] = done
	l.laid = append(l.laid, p)
}

func (l *lines) check(p pipe) {
	path := join("pipelines", brief(p.name))
	all := l.flat[p.name]
	if len(all) > pipeline.MaxGuards {
		l.faults.add(p.Place, path, "has more than %d guards", pipeline.MaxGuards)
		return
	}
	sorted := slices.Sorted(slices.Values(all))
	twice := ""
	for i := 1; i < len(sorted); i++ {
		if sorted[i] == sorted[i-1] && sorted[i] != twice {
			twice = sorted[i]
			l.faults.add(p.Place, path, "has the guard %s twice", brief(twice))
		}
	}
}

// known are the first names that there are.
func (l *lines) known() string {
	names := slices.Sorted(maps.Keys(l.guards))
	names = append(names, slices.Sorted(maps.Keys(l.nodes))...)
	const most = 20
	if len(names) > most {
		names = append(names[:most], "…")
	}
	return strings.Join(names, ", ")
}
