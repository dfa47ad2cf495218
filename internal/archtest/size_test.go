package archtest

import (
	"fmt"
	"go/ast"
	"testing"
)

// A file answers one question that a reader would ask, and is short enough to be read.
func TestFilesStayReadable(t *testing.T) {
	enforce(t, sizes)
	repo, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	for _, hint := range crowded(repo) {
		t.Log(hint)
	}
}

const (
	maxLines       = 500 // of a file that is not a test
	manyTestLines  = 600
	manyFilesInDir = 12
)

func sizes(t *tree) []violation {
	v := t.collector()
	t.each(func(s *source) bool { return !s.test() && !ast.IsGenerated(s.File) }, func(s *source) {
		if s.lines > maxLines {
			v.add(s.File, "%d lines, more than %d: split it by the questions that it answers", s.lines, maxLines)
		}
	})
	return v.found
}

// crowded returns what is worth a thought, and no more than that.
func crowded(t *tree) []string {
	var hints []string
	files := make(map[string]int)
	for _, s := range t.files {
		if !s.test() {
			files[s.dir()]++
			if files[s.dir()] == manyFilesInDir+1 {
				hints = append(hints, fmt.Sprintf("%s has more than %d files: is there a second package in it?", s.dir(), manyFilesInDir))
			}
		} else if s.lines > manyTestLines {
			hints = append(hints, fmt.Sprintf("%s has %d lines: is it about more than one thing?", s.path, s.lines))
		}
	}
	return hints
}
