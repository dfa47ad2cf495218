package configtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Defaults checks that the comment of each field, after the word "Default", and its row
// below "Options" on the package's page, in the last column, begin with the value that the
// field has in filled: the Config, and any other options, with their defaults filled in.
// Those that are not a Config have rows with their name, as in `AIMD.Backoff`. Off is the
// number that an option has that is "off" or "none"; usually 0.
func Defaults(t *testing.T, off float64, filled ...any) {
	t.Helper()
	DefaultsOn(t, pageOf(filled[0]), nil, off, filled...)
}

// DefaultsOn is Defaults for the page of that path, which says in words what the default of
// some fields is: those only must have a row and a comment.
func DefaultsOn(t *testing.T, path string, inWords []string, off float64, filled ...any) {
	t.Helper()
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var source []*ast.File
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		source = append(source, file)
	}
	for _, problem := range disagreements(source, options(string(page)), off, filled) {
		field, _, _ := strings.Cut(problem, ": the ")
		if !slices.Contains(inWords, field) {
			t.Error(problem)
		}
	}
}

// pageOf is the page of the package of v, seen from there.
func pageOf(v any) string {
	return "../../docs/patterns/" + path.Base(reflect.TypeOf(v).PkgPath()) + ".md"
}

// options returns what the page says of each option's default.
func options(page string) map[string]string {
	_, table, _ := strings.Cut(page, "\n## Options\n")
	table, _, _ = strings.Cut(table, "\n## ")
	defaults := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([\\w.]+)` \\|.*\\| ([^|]+) \\|$").FindAllStringSubmatch(table, -1) {
		defaults[row[1]] = value(row[2])
	}
	return defaults
}

// value is the first word of text, which may be in backticks, without what follows it.
func value(text string) string {
	word, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	return strings.Trim(word, "`.,:;")
}

func disagreements(source []*ast.File, page map[string]string, off float64, filled []any) (problems []string) {
	for _, options := range filled {
		v := reflect.ValueOf(options)
		name, _, _ := strings.Cut(v.Type().Name(), "[") // without the types that it is of
		said := comments(source, name)
		for i := range v.NumField() {
			field := v.Type().Field(i).Name
			option := strings.TrimPrefix(name+"."+field, "Config.")
			_, text, ok := strings.Cut(said[field], "Default ")
			if !ok {
				problems = append(problems, fmt.Sprintf("the comment of %s says no default", option))
			} else if text = value(text); !says(text, v.Field(i), v, off) {
				problems = append(problems, fmt.Sprintf("%s: the comment says %s, the default is %v", option, text, v.Field(i)))
			}
			if text, ok := page[option]; !ok {
				problems = append(problems, fmt.Sprintf("the page does not have %s", option))
			} else if !says(text, v.Field(i), v, off) {
				problems = append(problems, fmt.Sprintf("%s: the page says %s, the default is %v", option, text, v.Field(i)))
			}
			delete(page, option)
		}
	}
	for option := range page {
		problems = append(problems, fmt.Sprintf("the page has an option %s, which there is not", option))
	}
	return problems
}

// comments returns those of the fields of a struct, each in one line.
func comments(source []*ast.File, structure string) map[string]string {
	said := map[string]string{}
	for _, file := range source {
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || spec.Name.Name != structure {
				return true
			}
			if s, ok := spec.Type.(*ast.StructType); ok {
				for _, f := range s.Fields.List {
					for _, name := range f.Names {
						said[name.Name] = strings.Join(strings.Fields(f.Doc.Text()), " ")
					}
				}
			}
			return true
		})
	}
	return said
}

// says reports whether text is how v is written, one of all.
func says(text string, v, all reflect.Value, off float64) bool {
	if text == "off" || text == "none" {
		switch {
		case v.CanInt():
			return float64(v.Int()) == off
		case v.CanFloat():
			return v.Float() == off
		}
		return v.IsZero()
	}
	if other := all.FieldByName(text); other.IsValid() {
		return v.Equal(other)
	}
	switch is := v.Interface().(type) {
	case time.Duration:
		d, err := time.ParseDuration(text)
		return err == nil && d == is
	case fmt.Stringer: // a Window, the first word of a Backoff, or a name such as fail-open for FailOpen
		word, _, _ := strings.Cut(is.String(), " ")
		return strings.EqualFold(strings.ReplaceAll(word, "-", ""), strings.TrimPrefix(text, "patterns."))
	case int:
		return strconv.Itoa(is) == strings.ReplaceAll(text, ",", "")
	case float64:
		return strconv.FormatFloat(is, 'g', -1, 64) == text
	}
	return false
}
