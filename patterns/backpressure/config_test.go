package backpressure

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/bulwark-go/bulwark/patterns"
)

func TestMarksThatAreNotGivenFollowFromThoseThatAre(t *testing.T) {
	for _, tt := range []struct {
		name           string
		cfg            Config
		max, high, low int
	}{
		{"nothing given", Config{}, 1000, 800, 200},
		{"only the maximum", Config{MaxPending: 500}, 500, 400, 100},
		{"of 1", Config{MaxPending: 1}, 1, 1, 0},
		{"of 2", Config{MaxPending: 2}, 2, 2, 0},
		{"of 3", Config{MaxPending: 3}, 3, 3, 0},
		{"of 7", Config{MaxPending: 7}, 7, 6, 1},
		{"the largest", Config{MaxPending: maxPending}, maxPending, 1717986918, 429496729},
		{"a high mark below the default low one", Config{HighWater: 100}, 1000, 100, 99},
		{"a high mark of 1", Config{HighWater: 1}, 1000, 1, 0},
		{"a low mark", Config{LowWater: 799}, 1000, 800, 799},
		{"drained", Config{LowWater: Drained}, 1000, 800, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.cfg.Validate(); err != nil {
				t.Fatal(err)
			}
			m := newTestMachine(tt.cfg)
			if m.limit != tt.max || m.high != tt.high || m.low != tt.low {
				t.Errorf("marks %d/%d/%d", m.limit, m.high, m.low)
			}
			if once := tt.cfg.withDefaults(); once != once.withDefaults() || once.Validate() != nil {
				t.Errorf("defaults are not stable: %+v", once)
			}
		})
	}
}

func TestInvalidConfigsNameTheField(t *testing.T) {
	tests := []struct {
		name  string
		cfg   Config
		field string
	}{
		{"negative maximum", Config{MaxPending: -1}, "MaxPending"},
		{"huge maximum", Config{MaxPending: math.MaxInt}, "MaxPending"},
		{"negative high mark", Config{HighWater: -1}, "HighWater"},
		{"high mark above the maximum", Config{HighWater: 1001}, "HighWater"},
		{"high mark above a given maximum", Config{MaxPending: 5, HighWater: 6}, "HighWater"},
		{"negative low mark", Config{LowWater: -2}, "LowWater"},
		{"low mark at the high one", Config{LowWater: 800}, "LowWater"},
		{"low mark above a given high one", Config{HighWater: 5, LowWater: 6}, "LowWater"},
		{"negative queue", Config{MaxWaiting: -2}, "MaxWaiting"},
		{"huge queue", Config{MaxWaiting: maxWaiting + 1}, "MaxWaiting"},
		{"negative lease", Config{Mode: patterns.Leased(-1, 0)}, "Mode"},
		{"unknown fail policy", Config{OnFailure: 99}, "OnFailure"},
	}
	tested := map[string]bool{}
	for _, tt := range tests {
		tested[tt.field] = true
		t.Run(tt.name, func(t *testing.T) {
			if got := faultyFields(tt.cfg.Validate()); !slices.Equal(got, []string{tt.field}) {
				t.Errorf("faults in %v, want %s", got, tt.field)
			}
		})
	}
	for f := range reflect.TypeFor[Config]().Fields() {
		if !tested[f.Name] {
			t.Errorf("no row breaks %s", f.Name)
		}
	}
	all := Config{MaxPending: -1, LowWater: -5, MaxWaiting: -9, OnFailure: 7}.Validate()
	if got := faultyFields(all); !slices.Equal(got, []string{"MaxPending", "LowWater", "MaxWaiting", "OnFailure"}) {
		t.Errorf("faults in %v", got)
	}
	if want := "backpressure: MaxPending -1: must be from 1 to 2147483647"; !strings.Contains(all.Error(), want) {
		t.Errorf("error does not read well: %v", all)
	}
}

func faultyFields(err error) (fields []string) {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	for _, e := range joined.Unwrap() {
		if c, ok := errors.AsType[*patterns.ConfigError](e); ok {
			fields = append(fields, c.Field)
		}
	}
	return fields
}

func TestNobodyRunsAnInvalidConfig(t *testing.T) {
	for name, f := range map[string]func(){
		"NewMachine":  func() { newTestMachine(Config{MaxPending: -1}) },
		"Reconfigure": func() { newTestMachine(Config{}).Reconfigure(0, Config{MaxPending: -1}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s took an invalid Config", name)
				}
			}()
			f()
		}()
	}
}

// What a field's comment and the page say is the default is what the zero Config becomes.
func TestDocumentedDefaultsAreTheDefaults(t *testing.T) {
	page, err := os.ReadFile("../../docs/patterns/backpressure.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\|.*\\| ([^|]*) \\|$").FindAllStringSubmatch(string(page), -1) {
		rows[m[1]] = strings.Trim(strings.FieldsFunc(m[2], func(r rune) bool { return r == ',' || r == ':' || r == ' ' })[0], "`")
	}
	file, err := parser.ParseFile(token.NewFileSet(), "config.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	def := reflect.ValueOf(Config{}.withDefaults())
	said := regexp.MustCompile(`Default ([^\s,:]*[^\s,:.])`)
	fields := file.Scope.Lookup("Config").Decl.(*ast.TypeSpec).Type.(*ast.StructType).Fields.List
	if len(fields) != def.NumField() || len(rows) != def.NumField() {
		t.Fatalf("found %d fields and %d rows of %d", len(fields), len(rows), def.NumField())
	}
	for _, f := range fields {
		name := f.Names[0].Name
		m := said.FindStringSubmatch(strings.Join(strings.Fields(f.Doc.Text()), " "))
		if m == nil {
			t.Errorf("the comment of %s says no default", name)
			continue
		}
		for where, text := range map[string]string{"comment": m[1], "page": rows[name]} {
			if is := def.FieldByName(name); !says(text, is) {
				t.Errorf("%s: the %s says %s, the default is %v", name, where, text, is)
			}
		}
	}
}

func says(text string, v reflect.Value) bool {
	if text == "off" || text == "none" {
		return v.IsZero()
	}
	switch value := v.Interface().(type) {
	case int:
		return strconv.Itoa(value) == text
	case fmt.Stringer: // fail-open for FailOpen
		return strings.EqualFold(strings.ReplaceAll(value.String(), "-", ""), text)
	}
	return false
}
