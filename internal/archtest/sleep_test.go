package archtest

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

// A test that sleeps is slow when it passes and wrong when it fails; one that retries
// or skips itself proves nothing.
func TestNoTestSleepsRetriesOrSkips(t *testing.T) { enforce(t, sleeps) }

// inBubble is the directive for a helper whose callers are all in bubbles, or that
// runs what it is given in one.
const inBubble = "//bulwark:bubble"

// modes are the names by which a test may ask how it is being run, and skip itself:
// a soak run, or the race detector, which allocates.
var modes = []string{"BULWARK_", "raceEnabled", "Short"}

func sleeps(t *tree) []violation {
	v := t.collector()
	bodies := bubbles(t)
	t.each((*source).test, func(s *source) {
		imports := s.imports()
		walk(s.File, func(n ast.Node, above []ast.Node) {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return
			}
			inside := slices.ContainsFunc(above, func(a ast.Node) bool { return bodies[a] })
			pkg, name, _ := selected(imports, call.Fun)
			if sel, ok := call.Fun.(*ast.SelectorExpr); ok {
				name = sel.Sel.Name
			}
			switch {
			case pkg == "time" && (name == "Sleep" || name == "Tick") && !inside:
				v.add(call, "time.%s in a test: use synctest.Test, or wait for what you wait for; a helper called in bubbles only is marked %s", name, inBubble)
			case pkg == "time" && name == "After" && !inside && !onlyFails(call, above):
				v.add(call, "time.After in a test: use synctest.Test; outside a bubble it may only end a hung test, in a select case that calls t.Fatal")
			case strings.HasPrefix(name, "Eventually"):
				v.add(call, "no test retries: use synctest.Wait, or a channel that says when")
			case (name == "Skip" || name == "Skipf" || name == "SkipNow") && !mayskip(call, above):
				v.add(call, "no test skips itself, but for a soak run (BULWARK_SOAK) or the race detector (raceEnabled)")
			}
		})
	})
	return v.found
}

// bubbles returns the functions that run in a synctest bubble: what is passed, as a
// literal or by name, to synctest.Test or to a function marked with inBubble, and
// functions so marked.
func bubbles(t *tree) map[ast.Node]bool {
	bodies := make(map[ast.Node]bool)
	entries := make(map[string]bool) // functions marked, by folder.name
	t.decls(func(s *source, f *ast.FuncDecl) {
		if f.Doc != nil && slices.ContainsFunc(f.Doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, inBubble) }) {
			bodies[f] = true
			entries[s.dir()+"."+f.Name.Name] = true
		}
	})
	byName := make(map[string]bool) // functions passed, by folder.name
	t.each((*source).test, func(s *source) {
		imports := s.imports()
		ast.Inspect(s.File, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || !enters(s, imports, call.Fun, entries) {
				return true
			}
			for _, arg := range call.Args {
				switch arg := arg.(type) {
				case *ast.FuncLit:
					bodies[arg] = true
				case *ast.Ident:
					byName[s.dir()+"."+arg.Name] = true
				}
			}
			return true
		})
	})
	t.decls(func(s *source, f *ast.FuncDecl) {
		if byName[s.dir()+"."+f.Name.Name] {
			bodies[f] = true
		}
	})
	return bodies
}

// enters reports whether calling f runs what it is passed in a bubble.
func enters(s *source, imports map[string]string, f ast.Expr, entries map[string]bool) bool {
	if name, ok := f.(*ast.Ident); ok {
		return entries[s.dir()+"."+name.Name]
	}
	pkg, name, ok := selected(imports, f)
	return ok && (pkg == "testing/synctest" && name == "Test" || entries[strings.TrimPrefix(pkg, module+"/")+"."+name])
}

// decls calls f for every function of t.
func (t *tree) decls(f func(*source, *ast.FuncDecl)) {
	for _, s := range t.files {
		for _, decl := range s.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok {
				f(s, fn)
			}
		}
	}
}

// onlyFails reports whether call is received in a select case that fails the test.
func onlyFails(call *ast.CallExpr, above []ast.Node) bool {
	for _, a := range slices.Backward(above) {
		clause, ok := a.(*ast.CommClause)
		if !ok || clause.Comm == nil || call.Pos() < clause.Comm.Pos() || call.End() > clause.Comm.End() {
			continue
		}
		return slices.ContainsFunc(clause.Body, func(stmt ast.Stmt) bool {
			return mentions(stmt, func(name string) bool {
				return name == "Fatal" || name == "Fatalf" || name == "FailNow" || name == "panic"
			})
		})
	}
	return false
}

// mayskip reports whether the call is under an if that asks for a mode of running, or
// rejects an input that a fuzzer or rapid generated.
func mayskip(call *ast.CallExpr, above []ast.Node) bool {
	for i, a := range above {
		switch a := a.(type) {
		case *ast.IfStmt:
			asks := func(name string) bool {
				return slices.ContainsFunc(modes, func(m string) bool { return strings.Contains(name, m) })
			}
			if call.Pos() >= a.Body.Pos() && mentions(a.Cond, asks) {
				return true
			}
		case *ast.CallExpr:
			if _, lit := above[min(i+1, len(above)-1)].(*ast.FuncLit); !lit {
				continue
			}
			if sel, ok := a.Fun.(*ast.SelectorExpr); ok && (sel.Sel.Name == "Fuzz" || sel.Sel.Name == "Check") {
				return true
			}
		}
	}
	return false
}

// mentions reports whether an identifier or string below n satisfies ok.
func mentions(n ast.Node, ok func(string) bool) bool {
	found := false
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Ident:
			found = found || ok(n.Name)
		case *ast.BasicLit:
			found = found || ok(n.Value)
		}
		return !found
	})
	return found
}
