package config

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write comments.json and the schema in docs/")

const (
	schemaPage  = "../docs/bulwark.schema.json"
	examplePage = "../docs/bulwark.yaml"
)

func TestTheSchemaInTheDocsIsThatOfTheConfigs(t *testing.T) {
	written, err := json.MarshalIndent(readComments(t), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "comments.json", append(written, '\n'))
	compare(t, schemaPage, Schema())
}

func compare(t *testing.T, path string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err == nil && bytes.Equal(got, want) {
		return
	}
	if !*update {
		t.Errorf("%s is not what the source says (%v): run go test ./config -update, twice", path, err)
		return
	}
	if err := os.WriteFile(path, want, 0o644); err != nil { //nolint:gosec // a page of the docs
		t.Fatal(err)
	}
}

// structs are all types whose fields a file can set.
func structs(c *catalog) (all []reflect.Type) {
	for _, k := range c.kinds {
		all = append(all, k.wire)
	}
	for _, types := range c.choices {
		all = append(all, types...)
	}
	return all
}

// readComments returns what the source says of the fields.
func readComments(t *testing.T) map[string]string {
	t.Helper()
	c, all := newCatalog(), map[string]string{}
	read := map[reflect.Type]map[string]string{}
	for _, s := range structs(c) {
		for _, f := range c.fieldsOf(s) {
			if read[f.of] == nil {
				dir := strings.TrimPrefix(f.of.PkgPath(), "github.com/bulwark-go/bulwark/")
				read[f.of] = docsOf(t, filepath.Join("..", dir), f.of.Name())
			}
			if doc := read[f.of][f.name]; doc != "" {
				all[commentKey(f.of, f.name)] = doc
			}
		}
	}
	return all
}

// docsOf returns the comments of the fields of a struct.
func docsOf(t *testing.T, dir, name string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	docs := map[string]string{}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || spec.Name.Name != name {
				return true
			}
			if s, ok := spec.Type.(*ast.StructType); ok {
				for _, f := range s.Fields.List {
					text := f.Doc.Text()
					if text == "" {
						text = f.Comment.Text()
					}
					for _, n := range f.Names {
						docs[n.Name] = strings.Join(strings.Fields(text), " ")
					}
				}
			}
			return false
		})
	}
	return docs
}

func TestEveryFieldOfEveryConfigCanBeSet(t *testing.T) {
	c := newCatalog()
	for _, s := range structs(c) {
		fields := c.fieldsOf(s)
		if len(fields) == 0 && s.NumField() > 0 {
			t.Errorf("%v has no field that a file can set", s)
		}
		for _, f := range fields {
			_, made := c.made[f.typ]
			_, choice := c.choices[f.typ]
			_, text := c.texts[f.typ]
			kinds := []reflect.Kind{reflect.Bool, reflect.Int, reflect.Int64, reflect.Uint64, reflect.Float64, reflect.String}
			plain := slices.Contains(kinds, f.typ.Kind()) && (f.typ.PkgPath() == "" || f.typ == reflect.TypeFor[time.Duration]())
			if !made && !choice && !text && !plain {
				t.Errorf("%v.%s is a %v, which the catalog does not know", s, f.name, f.typ)
			}
		}
		for name := range c.words[s] {
			if !slices.ContainsFunc(fields, func(f field) bool { return f.name == name }) {
				t.Errorf("%v has words for %s, which it has not", s, name)
			}
		}
	}
	for s := range c.words {
		known := func(t reflect.Type) bool {
			return t == s || t.NumField() > 0 && t.Field(0).Anonymous && t.Field(0).Type == s
		}
		if !slices.ContainsFunc(structs(c), known) {
			t.Errorf("%v has words, but no pattern has it", s)
		}
	}
}

func TestAFieldThatMayBeOffHasAWordForIt(t *testing.T) {
	c, docs := newCatalog(), readComments(t)
	for _, s := range structs(c) {
		for _, f := range c.fieldsOf(s) {
			doc := docs[commentKey(f.of, f.name)]
			if doc == "" {
				t.Errorf("%v.%s has no comment", f.of, f.name)
			}
			off := regexp.MustCompile(`Default off([.:]|$)|or Off\b`).MatchString(doc)
			if _, ok := c.wordsOf(f)["off"]; off && !ok && f.typ.Kind() != reflect.Bool {
				t.Errorf("%v.%s may be off, and has no word for it: %s", f.of, f.name, doc)
			}
		}
	}
}

// compiled is the schema, as another library reads it.
func compiled(t testing.TB) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("bulwark.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("bulwark.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// generic is text as a schema looks at it.
func generic(t testing.TB, text []byte) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	through, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	v, err = jsonschema.UnmarshalJSON(bytes.NewReader(through))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestTheExampleInTheDocsIsValidAndHasEveryPattern(t *testing.T) {
	text, err := os.ReadFile(examplePage)
	if err != nil {
		t.Fatal(err)
	}
	f, err := Load(examplePage, Environ())
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, g := range f.guards {
		used[g.kind.name] = true
	}
	if got := slices.Sorted(maps.Keys(used)); !slices.Equal(got, newCatalog().kindNames()) {
		t.Errorf("it has %v, not %v", got, newCatalog().kindNames())
	}
	if err := compiled(t).Validate(generic(t, text)); err != nil {
		t.Errorf("the schema does not take it: %v", err)
	}
}

func TestTheSchemaTakesWhatIsReadAndRefusesWhatIsNot(t *testing.T) {
	s := compiled(t)
	for section := range sections() {
		if err := s.Validate(generic(t, []byte("guards: { x: { "+section+" } }"))); err != nil {
			t.Errorf("%s: %v", section, err)
		}
	}
	for _, text := range []string{
		"{}", "guards: {}", "guards: { -x: { bulkhead: {} } }", "guards: { x: { bulkhed: {} } }", "guards: { x: { bulkhead: {}, adaptive: {} } }", "guards: { x: {} }",
		"guards: { x: { bulkhead: } }", "guards: { x: { bulkhead: {} } }\nother: 1", "guards: { x: { bulkhead: {} } }\npipelines: { p: [] }",
		"guards: { x: { bulkhead: {} } }\npipelines: { p: [ x, x ] }",
		"guards: { x: { bulkhead: { max_wating: 1 } } }", "guards: { x: { bulkhead: { max_waiting: many } } }", "guards: { x: { bulkhead: { max_waiting: -1 } } }",
		"guards: { x: { bulkhead: { max_waiting: 1.5 } } }", "guards: { x: { bulkhead: { max_concurrent: 0 } } }", "guards: { x: { bulkhead: { max_wait: 30 } } }",
		"guards: { x: { bulkhead: { max_wait: soon } } }", "guards: { x: { bulkhead: { mode: fast } } }", "guards: { x: { bulkhead: { on_failure: open } } }",
		"guards: { x: { circuitbreaker: { window: ten } } }", "guards: { x: { circuitbreaker: { open_schedule: [] } } }", "guards: { x: { ratelimiter: { rate: 100 } } }",
		"guards: { x: { ratelimiter: { rate: 100/minute, algorithm: best } } }", "guards: { x: { adaptive: { algorithm: best } } }",
		"guards: { x: { adaptive: { algorithm: { aimd: { backof: 1 } } } } }", "guards: { x: { adaptive: { partitions: {} } } }", "guards: { x: { adaptive: { fair: yes please } } }",
	} {
		if faultsOf(text) == nil {
			t.Errorf("%s\nis read", text)
		}
		if s.Validate(generic(t, []byte(text))) == nil {
			t.Errorf("%s\nis taken by the schema", text)
		}
	}
}
