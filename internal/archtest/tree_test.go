package archtest

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const (
	module   = "github.com/bulwark-go/bulwark"
	protoact = "github.com/asynkron/protoactor-go"
)

// tree is the parsed source of a repository.
type tree struct {
	fset  *token.FileSet
	files []*source
}

// source is one parsed Go file.
type source struct {
	*ast.File
	path  string // relative to the repository, with slashes
	lines int
}

func (s *source) dir() string  { return path.Dir(s.path) }
func (s *source) base() string { return path.Base(s.path) }
func (s *source) test() bool   { return strings.HasSuffix(s.path, "_test.go") }

// under reports whether s is in dir or below it.
func (s *source) under(dir string) bool { return within(s.dir(), dir) }

func within(dir, of string) bool { return dir == of || strings.HasPrefix(dir, of+"/") }

// imports returns the import paths of s by the name each has in the file.
func (s *source) imports() map[string]string {
	names := make(map[string]string)
	for _, spec := range s.Imports {
		p, _ := strconv.Unquote(spec.Path.Value)
		switch {
		case spec.Name != nil:
			names[spec.Name.Name] = p
		case majorVersion(path.Base(p)):
			names[strings.TrimPrefix(path.Base(path.Dir(p)), "go-")] = p // as go-redis/v9 has it
		default:
			names[path.Base(p)] = p
		}
	}
	return names
}

// majorVersion reports whether the last part of an import path is a version, and not a name.
func majorVersion(base string) bool {
	n, err := strconv.Atoi(strings.TrimPrefix(base, "v"))
	return err == nil && n > 1 && base[0] == 'v'
}

// violation is a place that breaks a rule, and what to do about it.
type violation struct {
	at  string
	msg string
}

func (v violation) String() string { return v.at + ": " + v.msg }

// violations collects what one rule finds.
type violations struct {
	fset  *token.FileSet
	found []violation
}

func (v *violations) add(n ast.Node, format string, args ...any) {
	p := v.fset.Position(n.Pos())
	v.found = append(v.found, violation{fmt.Sprintf("%s:%d", p.Filename, p.Line), fmt.Sprintf(format, args...)})
}

// parseTree parses every Go file of fsys, nested modules included.
func parseTree(fsys fs.FS) (*tree, error) {
	t := &tree{fset: token.NewFileSet()}
	err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if base := path.Base(p); p != "." && (base[0] == '.' || base[0] == '_' || base == "testdata" || base == "vendor") {
				return fs.SkipDir
			}
			return nil
		case path.Ext(p) != ".go":
			return nil
		}
		text, err := fs.ReadFile(fsys, p)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(t.fset, p, text, parser.ParseComments)
		if err != nil {
			return err
		}
		t.files = append(t.files, &source{File: file, path: p, lines: strings.Count(string(text), "\n")})
		return nil
	})
	return t, err
}

// each calls f for the files that f's caller wants, in order of path.
func (t *tree) each(want func(*source) bool, f func(*source)) {
	for _, s := range t.files {
		if want(s) {
			f(s)
		}
	}
}

func (t *tree) collector() *violations { return &violations{fset: t.fset} }

// repository is the source around this package.
var repository = sync.OnceValues(func() (*tree, error) { return parseTree(os.DirFS("../..")) })

// enforce runs rule over the repository.
func enforce(t *testing.T, rule func(*tree) []violation) {
	t.Helper()
	repo, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	if len(repo.files) < 10 {
		t.Fatalf("only %d files found: is this the repository?", len(repo.files))
	}
	found := rule(repo)
	slices.SortFunc(found, func(a, b violation) int { return cmp.Compare(a.String(), b.String()) })
	for _, v := range slices.Compact(found) {
		t.Error(v)
	}
}

// walk visits every node below root with the nodes above it, outermost first.
func walk(root ast.Node, visit func(n ast.Node, above []ast.Node)) {
	var above []ast.Node
	ast.Inspect(root, func(n ast.Node) bool {
		if n == nil {
			above = above[:len(above)-1]
			return true
		}
		visit(n, above)
		above = append(above, n)
		return true
	})
}

// selected returns the import path and name of an expression such as time.Now.
func selected(imports map[string]string, n ast.Node) (pkg, name string, ok bool) {
	sel, ok := n.(*ast.SelectorExpr)
	if !ok {
		return "", "", false
	}
	x, ok := sel.X.(*ast.Ident)
	if !ok {
		return "", "", false
	}
	pkg, ok = imports[x.Name]
	return pkg, sel.Sel.Name, ok
}

// std reports whether an import path is in the standard library.
func std(p string) bool {
	first, _, _ := strings.Cut(p, "/")
	return !strings.Contains(first, ".")
}
