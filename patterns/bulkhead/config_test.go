package bulkhead

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
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

func TestValidConfigs(t *testing.T) {
	for name, c := range map[string]Config{
		"zero":                {},
		"one slot":            {MaxConcurrent: 1},
		"as many as may be":   {MaxConcurrent: maxConcurrent, MaxWaiting: maxWaiting, MaxWait: 1<<63 - 1},
		"partitions":          {MaxPartitions: maxPartitions},
		"a queue":             {MaxWaiting: 1},
		"queues":              {MaxWaiting: maxWaiting, MaxWait: 1, MaxPartitions: maxPartitions},
		"leased with a queue": {MaxWaiting: 1, MaxWait: 1, Mode: patterns.Leased(0, 0), OnFailure: patterns.FailClosed},
	} {
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if once := c.withDefaults(); once != once.withDefaults() || once.Validate() != nil {
			t.Errorf("%s: defaults are not stable: %+v", name, once)
		}
	}
}

func TestInvalidConfigsNameTheField(t *testing.T) {
	tests := []struct {
		name  string
		cfg   Config
		field string
	}{
		{"negative limit", Config{MaxConcurrent: -1}, "MaxConcurrent"},
		{"huge limit", Config{MaxConcurrent: math.MaxInt}, "MaxConcurrent"},
		{"negative queue", Config{MaxWaiting: -1}, "MaxWaiting"},
		{"huge queue", Config{MaxWaiting: maxWaiting + 1}, "MaxWaiting"},
		{"negative wait", Config{MaxWait: -1, MaxWaiting: 1}, "MaxWait"},
		{"a wait without a queue", Config{MaxWait: 1}, "MaxWait"},
		{"negative partitions", Config{MaxPartitions: -1}, "MaxPartitions"},
		{"huge partitions", Config{MaxPartitions: maxPartitions + 1}, "MaxPartitions"},
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
	all := Config{MaxConcurrent: -1, MaxWaiting: -9, MaxWait: -1, MaxPartitions: -1, OnFailure: 7}.Validate()
	if got := faultyFields(all); !slices.Equal(got, []string{"MaxConcurrent", "MaxWaiting", "MaxWait", "MaxPartitions", "OnFailure"}) {
		t.Errorf("faults in %v", got)
	}
	if want := "bulkhead: MaxConcurrent -1: must be from 1 to 2147483647"; !strings.Contains(all.Error(), want) {
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
		"NewMachine":  func() { newTestMachine(Config{MaxConcurrent: -1}) },
		"Reconfigure": func() { newTestMachine(Config{}).Reconfigure(0, Config{MaxConcurrent: -1}) },
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
	page, err := os.ReadFile("../../docs/patterns/bulkhead.md")
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
	case time.Duration:
		return value.String() == text
	case int:
		return strconv.Itoa(value) == text
	case fmt.Stringer: // fail-open for FailOpen
		return strings.EqualFold(strings.ReplaceAll(value.String(), "-", ""), text)
	}
	return false
}
