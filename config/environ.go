package config

import (
	"slices"
	"strings"
)

// override sets what variables of the environment say. A value is read as in the file, so
// that a mapping is written {gold: 0.5}.
func (r *reading) override(settings []setting, found *faults) {
	for _, v := range slices.Sorted(slices.Values(r.environ())) {
		name, value, _ := strings.Cut(v, "=")
		rest, ours := strings.CutPrefix(name, r.prefix)
		if !ours {
			continue
		}
		at := Place{Variable: name}
		i, key, problem := r.target(rest, settings)
		if problem != "" {
			found.add(at, "", "%s", problem)
			continue
		}
		p := &yamlReader{faults: found, place: func(int, int) Place { return at }}
		n := p.parse([]byte(value))
		if s := &settings[i]; n != nil && s.node.shape == mapping {
			s.node = s.node.with(key, n)
		}
	}
}

// target finds the guard and the key that a variable is for.
func (c *catalog) target(rest string, settings []setting) (guard int, key, problem string) {
	var matches, known []string
	for i, s := range settings {
		field, ok := strings.CutPrefix(rest, shout(s.guard)+"_")
		if !ok {
			continue
		}
		keys := keysOf(c.fieldsOf(s.kind.wire))
		for _, k := range keys {
			if shout(k) == field {
				guard, key = i, k
				matches = append(matches, s.path+"."+k)
			}
			known = append(known, shout(s.guard)+"_"+shout(k))
		}
	}
	switch {
	case len(matches) == 1:
		return guard, key, ""
	case len(matches) > 1:
		return 0, "", "may mean " + alternatives(matches) + ": give one of the guards another name"
	case len(known) > 0:
		problem = "is no setting"
		if near := nearest(rest, known); near != "" {
			problem += ", is " + strings.ToLower(near) + " meant?"
		}
		return 0, "", problem + " (allowed: " + strings.Join(known, ", ") + ")"
	}
	names := make([]string, len(settings))
	for i, s := range settings {
		names[i] = shout(s.guard)
	}
	return 0, "", "begins with no guard's name (there are: " + strings.Join(names, ", ") + ")"
}

// shout returns a name as it is in a variable.
func shout(name string) string {
	return strings.NewReplacer("-", "_", ".", "_").Replace(strings.ToUpper(name))
}
