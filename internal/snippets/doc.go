// Package snippets holds the code that README.md and docs/ show, so that it
// compiles. A block of Go there that follows
//
//	<!-- snippet: NAME -->
//
// is the region of that name here, or, of a module of its own such as integrations/gin, in the
// file snippets_test.go there. After changing one, run
//
//	go test ./internal/snippets -update
package snippets
