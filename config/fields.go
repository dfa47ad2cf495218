package config

import (
	"reflect"
	"strings"
	"unicode"
)

// field is one of a struct, embedded ones included.
type field struct {
	key   string // in the file
	name  string // in Go
	index []int
	typ   reflect.Type
	of    reflect.Type // the struct that has it
}

// fieldsOf returns those that a file can set, in the order of the source.
func (c *catalog) fieldsOf(t reflect.Type) []field {
	var all []field
	for f := range t.Fields() {
		if f.Anonymous {
			for _, inner := range c.fieldsOf(f.Type) {
				inner.index = append(append([]int(nil), f.Index...), inner.index...)
				all = append(all, inner)
			}
			continue
		}
		if f.IsExported() && !c.leftOut[f.Type] {
			all = append(all, field{key: snake(f.Name), name: f.Name, index: f.Index, typ: f.Type, of: t})
		}
	}
	return all
}

// snake returns a Go name as a key of the file: MaxOpenFor is max_open_for, MinRTT min_rtt.
func snake(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		if unicode.IsUpper(r) && i > 0 {
			after := runes[i-1]
			ends := i+1 < len(runes) && unicode.IsLower(runes[i+1]) // of an abbreviation
			if !unicode.IsUpper(after) || ends {
				b.WriteByte('_')
			}
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

func keysOf(fields []field) []string {
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = f.key
	}
	return keys
}

// nearest returns what of known key may have been meant for, or "".
func nearest(key string, known []string) string {
	best, least := "", 3
	for _, k := range known {
		if d := distance(key, k); d < least && d < len(k) {
			best, least = k, d
		}
	}
	return best
}

// distance is how many letters must be changed, added or left out to get from a to b.
func distance(a, b string) int {
	if len(a) > 2*len(b)+3 { // not worth the work
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
