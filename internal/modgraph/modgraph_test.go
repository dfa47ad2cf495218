package modgraph

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the lists anew")

const (
	module  = "github.com/bulwark-go/bulwark"
	program = "package main\n\nimport _ \"" + module + "/patterns/circuitbreaker\"\n\nfunc main() {}\n"
)

// frameworks are what only those who use them get, with a module of their own.
var frameworks = []string{
	"github.com/gin-gonic/", "github.com/labstack/echo/", "github.com/gofiber/", "github.com/go-chi/",
	"github.com/valyala/fasthttp", "github.com/gorilla/",
}

// A new line in these lists is a cost for every user. Is it worth it? Then run the test with
// -update.
func TestAProgramWithOneBreakerGetsTheseModulesAndNoOthers(t *testing.T) {
	dir := writeProgram(t)
	for _, c := range []struct {
		list string
		args []string
	}{
		{"linked.txt", []string{"list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "."}},
		{"known.txt", []string{"list", "-m", "-f", "{{.Path}}", "all"}},
	} {
		got := modules(t, dir, c.args...)
		for _, m := range got {
			if slices.ContainsFunc(frameworks, func(f string) bool { return strings.HasPrefix(m, f) }) {
				t.Errorf("%s: %s reaches users who have not asked for it: its integration needs a go.mod of its own", c.list, m)
			}
		}
		path := filepath.Join("testdata", c.list)
		text := strings.Join(got, "\n") + "\n"
		if *update {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if text != string(want) {
			more, less := differences(strings.Fields(string(want)), got)
			t.Errorf("%s: more %v, less %v", c.list, more, less)
		}
	}
}

// writeProgram writes the program into a module of its own.
func writeProgram(t *testing.T) (dir string) {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	for name, text := range map[string]string{
		"main.go": program,
		"go.mod":  "module program\n\ngo 1.26\n\nrequire " + module + " v0.0.0\n\nreplace " + module + " => " + root + "\n",
		"go.sum":  string(sum),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// modules returns what the go command lists, sorted, without the program itself.
func modules(t *testing.T, dir string, args ...string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %v: %v\n%s", args, err, stderr.String())
	}
	all := strings.Fields(string(out))
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(m string) bool { return m == "program" })
}

func differences(want, got []string) (more, less []string) {
	for _, m := range got {
		if !slices.Contains(want, m) {
			more = append(more, m)
		}
	}
	for _, m := range want {
		if !slices.Contains(got, m) {
			less = append(less, m)
		}
	}
	return more, less
}
