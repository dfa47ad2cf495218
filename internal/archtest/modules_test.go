package archtest

import (
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

// maxDepth is how many folders deep a module may be: the Makefile looks no further.
const maxDepth = 2

// A module that is nested is found by the Makefile, is called what its folder says, and is
// built with the source around it, not with a release.
func TestNestedModulesAreWhatTheirFoldersSay(t *testing.T) {
	for _, m := range modules(os.DirFS("../..")) {
		for _, problem := range m.problems() {
			t.Errorf("%s/go.mod: %s", m.dir, problem)
		}
	}
}

// nested is the go.mod of a module below the root.
type nested struct {
	dir  string
	text string
}

func modules(fsys fs.FS) (found []nested) {
	_ = fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && p != "." && path.Base(p)[0] == '.':
			return fs.SkipDir
		case d.Name() == "go.mod" && path.Dir(p) != ".":
			text, err := fs.ReadFile(fsys, p)
			if err != nil {
				return err
			}
			found = append(found, nested{path.Dir(p), string(text)})
		}
		return nil
	})
	return found
}

func (m nested) problems() (problems []string) {
	lines := strings.Split(m.text, "\n")
	depth := strings.Count(m.dir, "/") + 1
	if depth > maxDepth {
		problems = append(problems, "is nested too deep: the Makefile does not find it")
	}
	if !slices.Contains(lines, "module "+module+"/"+m.dir) {
		problems = append(problems, "is not called "+module+"/"+m.dir)
	}
	needs := strings.Contains(m.text, "\t"+module+" v") || strings.Contains(m.text, "require "+module+" v")
	root := strings.TrimSuffix(strings.Repeat("../", depth), "/")
	replaced := slices.ContainsFunc(lines, func(l string) bool {
		from, to, _ := strings.Cut(l, " => ")
		return from == "replace "+module && strings.TrimSuffix(to, "/") == root
	})
	if needs && !replaced {
		problems = append(problems, "does not replace "+module+" by "+root)
	}
	return problems
}

func TestModulesThatAreNotWhatTheyShouldBeAreFound(t *testing.T) {
	for _, c := range []struct{ name, dir, text, want string }{
		{"two levels deep", "integrations/x", "module " + module + "/integrations/x\nreplace " + module + " => ../..\nrequire " + module + " v0.0.0\n", ""},
		{"one level deep", "x", "module " + module + "/x\nreplace " + module + " => ../\nrequire (\n\t" + module + " v0.0.0\n)\n", ""},
		{"of tools, without the source", "x", "module " + module + "/x\n", ""},
		{"three levels deep", "a/b/c", "module " + module + "/a/b/c\n", "too deep"},
		{"under another name", "x", "module " + module + "/y\n", "is not called"},
		{"with a release", "x", "module " + module + "/x\nrequire " + module + " v0.1.0\n", "does not replace"},
		{"with the wrong folder", "a/x", "module " + module + "/a/x\nreplace " + module + " => ..\nrequire " + module + " v0.0.0\n", "does not replace"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := strings.Join(nested{c.dir, c.text}.problems(), "; ")
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("problems %q, want %q", got, c.want)
			}
		})
	}
}
