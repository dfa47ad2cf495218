package config

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// yamlBlock is a block of YAML in a page.
var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

func TestEveryFileInTheDocsIsRead(t *testing.T) {
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for _, page := range append(pages, "../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range yamlBlock.FindAllStringSubmatch(string(text), -1) {
			if !strings.Contains(m[1], "guards:") {
				continue
			}
			read++
			if faults := faultsOf(m[1]); faults != nil {
				t.Errorf("%s: %q", page, faults)
			}
		}
	}
	if read < 2 {
		t.Errorf("there are %d", read)
	}
}

// The page's table of words is compared with the catalog.
func TestEveryWordIsInTheDocs(t *testing.T) {
	text, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "| ") && strings.Count(line, "|") == 4 {
			lines = append(lines, line)
		}
	}
	c := newCatalog()
	for _, s := range structs(c) {
		for _, f := range c.fieldsOf(s) {
			for word := range c.wordsOf(f) {
				if !slices.ContainsFunc(lines, func(l string) bool {
					return strings.Contains(l, "`"+f.key+"`") && strings.Contains(l, "`"+word+"`")
				}) {
					t.Errorf("%s: %s of %v is on no line", f.key, word, s)
				}
			}
		}
	}
}
