package snippets

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the regions into the pages")

var (
	regionStart = regexp.MustCompile(`^\s*// region: (\S+)$`)
	regionEnd   = regexp.MustCompile(`^\s*// endregion$`)
	// A marker, and the Go block after it.
	block = regexp.MustCompile("(?m)^<!-- snippet: (\\S+) -->\n```go\n((?s:.*?))```$")
	// Any Go block.
	goBlock = regexp.MustCompile("(?m)^```go$")
)

// TestEveryGoBlockInTheDocsIsCompiledCode compares the blocks with the regions.
func TestEveryGoBlockInTheDocsIsCompiledCode(t *testing.T) {
	regions := readRegions(t, "*.go", nested)
	used := map[string]bool{}
	for _, page := range pages(t, "../..") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		marked := block.FindAllStringSubmatch(string(text), -1)
		if all := len(goBlock.FindAllString(string(text), -1)); all != len(marked) {
			t.Errorf("%s: %d Go blocks, but %d have a snippet marker", page, all, len(marked))
		}
		fresh := block.ReplaceAllStringFunc(string(text), func(b string) string {
			name := block.FindStringSubmatch(b)[1]
			used[name] = true
			code, ok := regions[name]
			if !ok {
				t.Errorf("%s: there is no region %q", page, name)
				return b
			}
			return fmt.Sprintf("<!-- snippet: %s -->\n```go\n%s```", name, code)
		})
		if fresh == string(text) {
			continue
		}
		if !*update {
			t.Errorf("%s is not what compiles: run go test ./internal/snippets -update", page)
			continue
		}
		if err := os.WriteFile(page, []byte(fresh), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name := range regions {
		if !used[name] {
			t.Errorf("region %q is shown nowhere", name)
		}
	}
}

func pages(t *testing.T, root string) []string {
	t.Helper()
	found := []string{filepath.Join(root, "README.md")}
	err := filepath.WalkDir(filepath.Join(root, "docs"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && filepath.Ext(path) == ".md" {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// nested is where modules of their own, such as integrations/gin, have the code that is shown of
// them. It compiles there.
const nested = "../../*/*/snippets_test.go"

// readRegions returns the regions of some Go files, without their indentation.
func readRegions(t *testing.T, patterns ...string) map[string]string {
	t.Helper()
	var files []string
	for _, p := range patterns {
		found, err := filepath.Glob(p)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	const twice = "../../internal/snippets/snippets_test.go" // it matches both
	files = slices.DeleteFunc(files, func(f string) bool { return filepath.ToSlash(f) == twice })
	regions := map[string]string{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		name, lines := "", []string(nil)
		for line := range strings.Lines(string(text)) {
			switch start := regionStart.FindStringSubmatch(strings.TrimRight(line, "\n")); {
			case start != nil:
				name, lines = start[1], nil
			case regionEnd.MatchString(strings.TrimRight(line, "\n")):
				if _, twice := regions[name]; twice || name == "" {
					t.Errorf("%s: region %q ends without a beginning, or is there twice", f, name)
				}
				regions[name], name = outdent(lines), ""
			case name != "":
				lines = append(lines, line)
			}
		}
		if name != "" {
			t.Errorf("%s: region %q does not end", f, name)
		}
	}
	return regions
}

func outdent(lines []string) string {
	for len(lines) > 0 && strings.TrimSpace(lines[len(lines)-1]) == "" { // as the format wants it
		lines = lines[:len(lines)-1]
	}
	depth := -1
	for _, l := range lines {
		if strings.TrimSpace(l) == "" {
			continue
		}
		if tabs := len(l) - len(strings.TrimLeft(l, "\t")); depth < 0 || tabs < depth {
			depth = tabs
		}
	}
	var b strings.Builder
	for _, l := range lines {
		if strings.TrimSpace(l) == "" {
			b.WriteByte('\n')
			continue
		}
		b.WriteString(strings.ReplaceAll(l[depth:], "\t", "    "))
	}
	return b.String()
}
