package config

import (
	"encoding"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// section is what was read of one guard.
type section struct {
	Place
	kind   kind
	path   string
	config any
	refers string          // the name of a budget
	spots  map[string]spot // by the name that a ConfigError has for a field
	failed []string        // names of fields that could not be read
}

// spot is where a field was set.
type spot struct {
	Place
	path  string
	value string
}

// decoder reads a section.
type decoder struct {
	*catalog
	faults  *faults
	section *section
}

// read reads n, the section of kind k, and checks the Config that it makes.
func (d *decoder) read(n *node) {
	s := d.section
	before := len(d.faults.found)
	wire := reflect.New(s.kind.wire).Elem()
	d.structure(n, s.path, "", wire)
	if len(d.faults.found) > before && len(s.failed) == 0 {
		return // it is no section at all
	}
	if s.kind.refers != nil {
		s.refers = s.kind.refers(wire.Interface())
	}
	config, err := s.kind.fold(wire.Interface())
	s.config = config
	each(err, func(err error) { d.blame(err, s.failed) })
}

// structure reads a mapping of fields. of is the name of the struct that errors use, with
// a dot, or "" for a Config.
func (d *decoder) structure(n *node, path, of string, v reflect.Value) {
	if n.shape != mapping {
		d.faults.add(n.Place, path, "is %v, not a mapping of settings; {} stands for the defaults", n.shape)
		return
	}
	fields := d.fieldsOf(v.Type())
	for _, e := range n.keys {
		i := slices.IndexFunc(fields, func(f field) bool { return f.key == e.key })
		if i < 0 {
			d.unknown(e, path, keysOf(fields))
			continue
		}
		f := fields[i]
		d.section.spots[of+f.name] = spot{e.value.Place, join(path, f.key), e.value.String()}
		if problem := d.value(e.value, join(path, f.key), d.wordsOf(f), v.FieldByIndex(f.index)); problem != "" {
			d.faults.add(e.value.Place, join(path, f.key), "%s", problem)
			d.section.failed = append(d.section.failed, of+f.name)
		}
	}
}

func (d *decoder) unknown(e entry, path string, known []string) {
	problem := "unknown key"
	if near := nearest(e.key, known); near != "" {
		problem += fmt.Sprintf(", is %s meant?", near)
	}
	d.faults.add(e.Place, join(path, brief(e.key)), "%s (allowed: %s)", problem, strings.Join(slices.Sorted(slices.Values(known)), ", "))
	d.section.failed = append(d.section.failed, "") // something
}

// value reads n into v, and says what is wrong with it. Faults further down it adds itself.
func (d *decoder) value(n *node, path string, w words, v reflect.Value) (problem string) {
	if n.shape == nothing {
		return "has no value; default stands for the default"
	}
	if n.shape == scalar && n.text == "default" {
		return ""
	}
	if number, ok := w[n.text]; ok && n.shape == scalar {
		return assign(v, number)
	}
	t := v.Type()
	if m, ok := d.made[t]; ok {
		from := reflect.New(m.from).Elem()
		if problem := d.value(n, path, nil, from); problem != "" {
			return problem
		}
		v.Set(reflect.ValueOf(m.make(from.Interface())))
		return ""
	}
	if kinds, ok := d.choices[t]; ok {
		return d.choice(n, path, kinds, v)
	}
	if about, ok := d.texts[t]; ok {
		return d.fromText(n, about, v)
	}
	switch {
	case t.Kind() == reflect.Slice:
		return d.sequence(n, path, v)
	case t.Kind() == reflect.Map:
		return d.table(n, path, v)
	case n.shape != scalar:
		return fmt.Sprintf("is %v, not %s", n.shape, wanted(t, w))
	case t == reflect.TypeFor[time.Duration]():
		return number(w, v, func() (int64, string) {
			d, err := time.ParseDuration(n.text)
			if err != nil || n.tag != "!!str" { // 0 needs its unit too
				return 0, fmt.Sprintf("%q is not %s", brief(n.text), wanted(t, w))
			}
			return int64(d), ""
		})
	}
	return d.basic(n, w, v)
}

func (d *decoder) basic(n *node, w words, v reflect.Value) (problem string) {
	wrong := fmt.Sprintf("%q is not %s", brief(n.text), wanted(v.Type(), w))
	switch v.Kind() {
	case reflect.Bool:
		if n.tag != "!!bool" {
			return wrong
		}
		v.SetBool(strings.EqualFold(n.text, "true"))
		return ""
	case reflect.String:
		if n.tag != "!!str" {
			return wrong
		}
		v.SetString(n.text)
		return ""
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return number(w, v, func() (int64, string) {
			i, ok := n.integer()
			if !ok || v.Kind() != reflect.Uint64 && v.OverflowInt(i) {
				return 0, wrong
			}
			return i, ""
		})
	case reflect.Float64:
		f, ok := n.float()
		switch {
		case !ok:
			return wrong
		case f < 0:
			return negative(w)
		case f == 0 && !w.zero():
			return zero(w)
		}
		v.SetFloat(f)
		return ""
	}
	return fmt.Sprintf("cannot be set in a file: it is a %v", v.Type())
}

// number sets v to the number that read reads, if there may be such a one.
func number(w words, v reflect.Value, read func() (int64, string)) (problem string) {
	n, problem := read()
	switch {
	case problem != "":
		return problem
	case n < 0:
		return negative(w)
	case n == 0 && !w.zero():
		return zero(w)
	}
	return assign(v, n)
}

func assign(v reflect.Value, n int64) (problem string) {
	switch v.Kind() {
	case reflect.Float64:
		v.SetFloat(float64(n))
	case reflect.Uint64:
		v.SetUint(uint64(n)) //nolint:gosec // not negative, or a word's
	default:
		v.SetInt(n)
	}
	return ""
}

func negative(w words) string { return "must not be negative" + instead(w) }

func zero(w words) string { return "must not be 0" + instead(w) }

func instead(w words) string {
	return "; " + alternatives(w.names()) + " may be written in place of a number"
}

// wanted says what is read into a t.
func wanted(t reflect.Type, w words) string {
	what := "a text"
	switch {
	case t == reflect.TypeFor[time.Duration]():
		what = "a time with its unit, such as 30s or 1m30s"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Float64:
		what = "a number"
	case t.Kind() != reflect.String:
		what = "a whole number"
	}
	if len(w) > 0 {
		what += ", or " + alternatives(slices.Sorted(maps.Keys(w)))
	}
	return what
}

func alternatives(names []string) string {
	if n := len(names) - 1; n > 0 {
		return strings.Join(names[:n], ", ") + " or " + names[n]
	}
	return names[0]
}

func (d *decoder) sequence(n *node, path string, v reflect.Value) (problem string) {
	if n.shape != list || len(n.items) == 0 {
		return "must be a list of at least one"
	}
	all := reflect.MakeSlice(v.Type(), len(n.items), len(n.items))
	for i, item := range n.items {
		at := fmt.Sprintf("%s[%d]", path, i)
		if problem := d.value(item, at, nil, all.Index(i)); problem != "" {
			return fmt.Sprintf("item %d: %s", i+1, problem)
		}
	}
	v.Set(all)
	return ""
}

func (d *decoder) table(n *node, path string, v reflect.Value) (problem string) {
	if n.shape != mapping || len(n.keys) == 0 {
		return "must be a mapping of at least one name"
	}
	all := reflect.MakeMap(v.Type())
	for _, e := range n.keys {
		one := reflect.New(v.Type().Elem()).Elem()
		if problem := d.value(e.value, join(path, e.key), nil, one); problem != "" {
			return fmt.Sprintf("%s: %s", brief(e.key), problem)
		}
		all.SetMapIndex(reflect.ValueOf(e.key), one)
	}
	v.Set(all)
	return ""
}

// choice reads the name of a type, or a mapping of the name to its settings.
func (d *decoder) choice(n *node, path string, types []reflect.Type, v reflect.Value) (problem string) {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = snake(t.Name())
	}
	allowed := "allowed: " + strings.Join(names, ", ") + ", or a mapping of one of them to its settings"
	name, settings := n.text, (*node)(nil)
	if n.shape == mapping && len(n.keys) == 1 {
		name, settings = n.keys[0].key, n.keys[0].value
	} else if n.shape != scalar {
		return "must be one name (" + allowed + ")"
	}
	i := slices.Index(names, name)
	if i < 0 {
		return fmt.Sprintf("%q is none (%s)", brief(name), allowed)
	}
	one := reflect.New(types[i]).Elem()
	if settings != nil {
		d.structure(settings, join(path, name), types[i].Name()+".", one)
	}
	v.Set(one)
	return ""
}

func (d *decoder) fromText(n *node, about text, v reflect.Value) (problem string) {
	value := n.text
	switch {
	case n.shape == list && about.list && len(n.items) > 0:
		parts := make([]string, len(n.items))
		for i, item := range n.items {
			if item.shape != scalar {
				return fmt.Sprintf("item %d is %v, not a text", i+1, item.shape)
			}
			parts[i] = item.text
		}
		value = strings.Join(parts, ", ")
	case n.shape != scalar:
		return fmt.Sprintf("is %v, not a text", n.shape)
	case n.tag != "!!str" && !(about.number && n.tag == "!!int") && !(about.share && (n.tag == "!!int" || n.tag == "!!float")):
		return fmt.Sprintf("%q is not a text", brief(n.text))
	case value == "": // to some types that is none
		return "is an empty text"
	}
	fresh := reflect.New(v.Type())
	if err := fresh.Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(value)); err != nil {
		return d.say(err.Error())
	}
	v.Set(fresh.Elem())
	return ""
}

// integer is a whole number without a point.
func (n *node) integer() (i int64, ok bool) {
	if n.tag != "!!int" {
		return 0, false
	}
	var y any
	if err := n.scan(&y); err != nil {
		return 0, false
	}
	switch y := y.(type) {
	case int:
		return int64(y), true
	case int64:
		return y, true
	}
	return 0, false // too large
}

// float is any number but infinities and NaN.
func (n *node) float() (f float64, ok bool) {
	if n.tag != "!!int" && n.tag != "!!float" {
		return 0, false
	}
	err := n.scan(&f)
	return f, err == nil && f-f == 0 && math.Abs(f) <= math.MaxFloat64
}

// blame adds a fault for what a pattern's own check found, at the line of the field. What
// follows from fields that could not be read is none.
func (d *decoder) blame(err error, failed []string) {
	s := d.section
	e, ok := errors.AsType[*patterns.ConfigError](err)
	if !ok {
		if len(failed) == 0 {
			d.faults.keep(s.fault(d.catalog, err))
		}
		return
	}
	for _, name := range failed {
		if name == "" || name == e.Field || regexp.MustCompile(`\b`+regexp.QuoteMeta(name)+`\b`).MatchString(e.Problem) {
			return
		}
	}
	d.faults.keep(s.fault(d.catalog, err))
}

// fault is what a pattern's check found, where the field was set, or should have been.
func (s *section) fault(c *catalog, err error) *Fault {
	e, ok := errors.AsType[*patterns.ConfigError](err)
	if !ok {
		return &Fault{Place: s.Place, Path: s.path, Problem: c.translate(s.kind, err.Error()), Err: err}
	}
	problem := c.translate(s.kind, e.Problem)
	at, ok := s.spots[e.Field]
	if !ok {
		parts := strings.Split(e.Field, ".")
		for i, p := range parts {
			parts[i] = snake(p)
		}
		return &Fault{Place: s.Place, Path: join(s.path, strings.Join(parts, ".")), Problem: problem, Err: e}
	}
	return &Fault{Place: at.Place, Path: at.path, Problem: brief(at.value) + " " + problem, Err: e}
}

func (d *decoder) say(problem string) string { return d.translate(d.section.kind, problem) }

// translate puts words of the file in place of names in Go.
func (c *catalog) translate(k kind, problem string) string {
	fields, types := c.fieldsOf(k.wire), map[string]bool{}
	for _, choice := range c.choices {
		for _, t := range choice {
			types[snake(t.Name())] = true
			fields = append(fields, c.fieldsOf(t)...)
		}
	}
	return regexp.MustCompile(`\b[A-Z][A-Za-z0-9]*\b`).ReplaceAllStringFunc(problem, func(name string) string {
		if word, ok := c.spoken[name]; ok {
			return word
		}
		if types[snake(name)] || slices.ContainsFunc(fields, func(f field) bool { return f.name == name }) {
			return snake(name)
		}
		return name
	})
}

// brief is the beginning of a text that is long.
func brief(text string) string {
	const most = 60
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
