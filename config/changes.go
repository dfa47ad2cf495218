package config

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

// Changes are what a reload changed. Names are in the order of the file, those of guards that
// share a budget last; names that it no longer has are in that of the alphabet.
type Changes struct {
	Spawned   []string // guards that are new, or were stopped by others
	Changed   []Change // settings of guards, which kept their state
	Pipelines []string // that are new, or made of other guards
	Removed   []string // guards and pipelines that the file no longer has
}

// Change is a setting that is not what it was.
type Change struct {
	Guard   string
	Setting string // such as "open_for"
	From    string // as in the file; "default" if it was not there
	To      string
}

func (c Change) String() string {
	return fmt.Sprintf("%s.%s: %s → %s", c.Guard, c.Setting, c.From, c.To)
}

// None reports whether all is as it was.
func (c Changes) None() bool {
	return len(c.Spawned)+len(c.Changed)+len(c.Pipelines)+len(c.Removed) == 0
}

func (c Changes) String() string {
	var parts []string
	add := func(what string, names []string) {
		if len(names) > 0 {
			parts = append(parts, what+" "+strings.Join(names, ", "))
		}
	}
	add("spawned", c.Spawned)
	add("changed", c.settings())
	add("pipelines", c.Pipelines)
	add("removed", c.Removed)
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, "; ")
}

// LogValue returns the changes as a group.
func (c Changes) LogValue() slog.Value {
	var attrs []slog.Attr
	add := func(what string, names []string) {
		if len(names) > 0 {
			attrs = append(attrs, slog.Any(what, names))
		}
	}
	add("spawned", c.Spawned)
	add("changed", c.settings())
	add("pipelines", c.Pipelines)
	add("removed", c.Removed)
	return slog.GroupValue(attrs...)
}

func (c Changes) settings() []string {
	texts := make([]string, len(c.Changed))
	for i, change := range c.Changed {
		texts[i] = change.String()
	}
	return texts
}

// settings returns what other sets otherwise than d, in the order of the fields' names.
func (d *declaration) settings(other *declaration) (changes []Change) {
	names := map[string]bool{}
	for name := range d.spots {
		names[name] = true
	}
	for name := range other.spots {
		names[name] = true
	}
	value := func(spots map[string]spot, name string) string {
		if at, ok := spots[name]; ok {
			return brief(at.value)
		}
		return "default"
	}
	for name := range names {
		if strings.Contains(name, ".") { // of a choice, which is in names itself
			continue
		}
		if from, to := value(d.spots, name), value(other.spots, name); from != to {
			changes = append(changes, Change{Guard: other.name, Setting: snake(name), From: from, To: to})
		}
	}
	slices.SortFunc(changes, func(a, b Change) int { return strings.Compare(a.Setting, b.Setting) })
	return changes
}
