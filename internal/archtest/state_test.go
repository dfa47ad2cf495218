package archtest

import (
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strings"
	"testing"
)

// State has one owner, the actor in whose turn it changes; nothing is guarded by a lock.
func TestNothingIsGuardedByALock(t *testing.T) { enforce(t, locks) }

// Atomics are for the few places where a turn meets the goroutines around it.
func TestAtomicsStayWhereATurnMeetsItsCallers(t *testing.T) { enforce(t, atomics) }

// A package-level variable is state without an owner.
func TestNoPackageHasState(t *testing.T) { enforce(t, packageState) }

// syncAllowed are the names of sync that are not locks.
var syncAllowed = []string{"Pool", "WaitGroup"}

// atomicFiles may import sync/atomic: patterns of file names by folder.
var atomicFiles = map[string][]string{
	"mailbox": {"*.go"},
	"actors":  {"slot.go", "cell.go", "gate.go", "handle.go", "tally.go", "loads.go", "relay.go", "outbox.go", "registry.go", "directory.go", "audit.go"},
	// A context is asked from any goroutine, on both sides of a call, and belongs to no actor.
	"patterns/internal/lazycontext": {"context.go"},
	// Letters are put in in a turn, and sent after it.
	"actors/internal/outbox": {"outbox.go"},
	// An attempt and its call run side by side, and agree on who of them was first.
	"patterns/hedge": {"attempt.go"},
	// Attempts of one call run side by side, and each marks where it has been.
	"patterns/outlier": {"spread.go"},
}

// stateAllowed are package-level variables that stay, each with its reason.
var stateAllowed = map[string]string{
	"patterns/ratelimiter/redis/internal/store.bucketText": "the text of a script, which the compiler puts there",
	"patterns/ratelimiter/redis/internal/store.logText":    "the same",
}

// owned reports whether s is code in which all state belongs to actors.
func owned(s *source) bool {
	return !s.test() && (s.under("actors") || s.under("patterns") || s.under("supervisor"))
}

func locks(t *tree) []violation {
	v := t.collector()
	t.each(owned, func(s *source) {
		imports := s.imports()
		ast.Inspect(s.File, func(n ast.Node) bool {
			if pkg, name, ok := selected(imports, n); ok && pkg == "sync" && !slices.Contains(syncAllowed, name) {
				v.add(n, "no sync.%s here: let an actor own the state and send it a message", name)
			}
			return true
		})
	})
	return v.found
}

func atomics(t *tree) []violation {
	v := t.collector()
	t.each(func(s *source) bool { return owned(s) || s.under("mailbox") && !s.test() }, func(s *source) {
		matches := func(pattern string) bool { ok, _ := path.Match(pattern, s.base()); return ok }
		if slices.ContainsFunc(atomicFiles[s.dir()], matches) {
			return
		}
		for _, spec := range s.Imports {
			if spec.Path.Value == `"sync/atomic"` {
				v.add(spec, "no atomics here: let the actor own the value, or put it in one of the files that atomicFiles lists")
			}
		}
	})
	return v.found
}

// packageState allows, at package level, errors, assertions that a type implements an
// interface, and tables of basic values that no code in the package changes.
func packageState(t *tree) []violation {
	v := t.collector()
	vars := make(map[string]map[string]*ast.ValueSpec) // folder → name → declaration
	t.each(owned, func(s *source) {
		for _, decl := range s.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.VAR {
				continue
			}
			for _, spec := range gen.Specs {
				spec := spec.(*ast.ValueSpec)
				for i, name := range spec.Names {
					if name.Name == "_" {
						continue
					}
					if vars[s.dir()] == nil {
						vars[s.dir()] = make(map[string]*ast.ValueSpec)
					}
					vars[s.dir()][name.Name] = spec
					if stateAllowed[s.dir()+"."+name.Name] == "" && !fixed(s.imports(), spec, i) {
						v.add(name, "%s is package-level state: let an actor own it, pass it in, or make it a const, a table of basic values or a function", name.Name)
					}
				}
			}
		}
	})
	t.each(owned, func(s *source) {
		ast.Inspect(s.File, func(n ast.Node) bool {
			for _, x := range changed(n) {
				name := root(x)
				if name == nil || vars[s.dir()][name.Name] == nil || stateAllowed[s.dir()+"."+name.Name] != "" {
					continue
				}
				if global(name, vars[s.dir()][name.Name]) {
					v.add(n, "%s is a package-level table and must not change", name.Name)
				}
			}
			return true
		})
	})
	return v.found
}

// fixed reports whether the i-th name of a declaration can be left at package level.
func fixed(imports map[string]string, spec *ast.ValueSpec, i int) bool {
	name := spec.Names[i].Name
	if len(spec.Values) != len(spec.Names) {
		return false
	}
	value := spec.Values[i]
	if call, ok := value.(*ast.CallExpr); ok {
		pkg, f, _ := selected(imports, call.Fun)
		return pkg == "errors" && f == "New" || pkg == "fmt" && f == "Errorf"
	}
	if ref, ok := value.(*ast.UnaryExpr); ok && ref.Op == token.AND && strings.HasPrefix(strings.ToLower(name), "err") {
		value = ref.X // a sentinel of a type of its own
	}
	lit, ok := value.(*ast.CompositeLit)
	return ok && basic(lit)
}

// basic reports whether e is built from literals, constants and composites of them.
func basic(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit, *ast.Ident:
		return true
	case *ast.SelectorExpr:
		return basic(e.X)
	case *ast.ParenExpr:
		return basic(e.X)
	case *ast.UnaryExpr:
		return e.Op != token.AND && e.Op != token.ARROW && basic(e.X)
	case *ast.BinaryExpr:
		return basic(e.X) && basic(e.Y)
	case *ast.KeyValueExpr:
		return basic(e.Key) && basic(e.Value)
	case *ast.CompositeLit:
		if sel, ok := e.Type.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && (x.Name == "sync" || x.Name == "atomic") {
				return false
			}
		}
		return !slices.ContainsFunc(e.Elts, func(x ast.Expr) bool { return !basic(x) })
	}
	return false
}

// changed returns the expressions that n assigns to, takes the address of or deletes from.
func changed(n ast.Node) []ast.Expr {
	switch n := n.(type) {
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			return n.Lhs
		}
	case *ast.IncDecStmt:
		return []ast.Expr{n.X}
	case *ast.UnaryExpr:
		if n.Op == token.AND {
			return []ast.Expr{n.X}
		}
	case *ast.CallExpr:
		if f, ok := n.Fun.(*ast.Ident); ok && (f.Name == "delete" || f.Name == "clear") && len(n.Args) > 0 {
			return n.Args[:1]
		}
	}
	return nil
}

// root returns the variable that an expression such as a.b[i] starts from.
func root(e ast.Expr) *ast.Ident {
	switch e := e.(type) {
	case *ast.Ident:
		return e
	case *ast.SelectorExpr:
		return root(e.X)
	case *ast.IndexExpr:
		return root(e.X)
	case *ast.ParenExpr:
		return root(e.X)
	case *ast.StarExpr:
		return root(e.X)
	}
	return nil
}

// global reports whether name means the package-level variable spec and not a local
// one of that name. The parser resolves names within a file, which is enough, where
// go/types would load every dependency: what it leaves open is package-level.
func global(name *ast.Ident, spec *ast.ValueSpec) bool {
	if name.Obj == nil {
		return true
	}
	return name.Obj.Decl == spec
}
