package outlier

import (
	"fmt"
	"strings"
	"unicode"
)

// Members are the names of those that answer the same calls, such as "http://10.0.0.1:8080".
// They can be compared. In a text they have commas between them, so that no name has one.
type Members struct{ text string }

// List returns Members of those names. Whether they can be is for Config.Validate to say.
func List(names ...string) Members { return Members{strings.Join(names, ",")} }

// Names returns the names, in the order in which they were listed.
func (m Members) Names() []string {
	if m.text == "" {
		return nil
	}
	return strings.Split(m.text, ",")
}

// String returns the names with commas between them.
func (m Members) String() string { return m.text }

// MarshalText returns what UnmarshalText reads.
func (m Members) MarshalText() ([]byte, error) { return []byte(m.text), nil }

// UnmarshalText reads names with commas, and perhaps spaces, between them.
func (m *Members) UnmarshalText(text []byte) error {
	names := Members{string(text)}.Names()
	for i, name := range names {
		names[i] = strings.TrimSpace(name)
	}
	*m = List(names...)
	return nil
}

// fault returns what is wrong with m, or "".
func (m Members) fault() string {
	names := m.Names()
	if len(names) < 1 || len(names) > maxMembers {
		return fmt.Sprintf("must be from 1 to %d", maxMembers)
	}
	known := make(map[string]bool, len(names))
	for _, name := range names {
		switch {
		case name == "":
			return "have one without a name"
		case strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }):
			return fmt.Sprintf("have one with a space or worse in its name, %q", name)
		case known[name]:
			return fmt.Sprintf("have %q twice", name)
		}
		known[name] = true
	}
	return ""
}
