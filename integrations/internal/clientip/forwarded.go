package clientip

import "strings"

// forwardedFor iterates over what the elements of Forwarded headers say after for=, the last
// first; an element without it counts as "". If any header is malformed there is none:
// somebody may have opened a quotation for the next proxy to write into.
func forwardedFor(values []string) func(func(string) bool) {
	var all []string
	for _, v := range values {
		elements, ok := elementsOf(v)
		if !ok {
			return func(func(string) bool) {}
		}
		all = append(all, elements...)
	}
	return func(yield func(string) bool) {
		for i := len(all) - 1; i >= 0; i-- {
			if !yield(all[i]) {
				return
			}
		}
	}
}

// elementsOf reads a Forwarded header (RFC 7239, section 4).
func elementsOf(s string) (elements []string, ok bool) {
	current, seen := "", false
	for {
		s = strings.TrimLeft(s, " \t")
		name, rest := token(s)
		if name != "" {
			if !strings.HasPrefix(rest, "=") {
				return nil, false
			}
			value, after, ok := valueOf(rest[1:])
			if !ok {
				return nil, false
			}
			if strings.EqualFold(name, "for") {
				if seen {
					return nil, false
				}
				current, seen = value, true
			}
			rest = after
		}
		rest = strings.TrimLeft(rest, " \t")
		if rest == "" {
			return append(elements, current), true
		}
		switch rest[0] {
		case ';':
		case ',':
			elements = append(elements, current)
			current, seen = "", false
		default:
			return nil, false
		}
		s = rest[1:]
	}
}

// valueOf reads a token or a quoted string.
func valueOf(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		value, rest = token(s)
		return value, rest, value != ""
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], true
		case '\\':
			if i++; i == len(s) {
				return "", "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

// token cuts a token off (RFC 9110, section 5.6.2). Some proxies write addresses with their
// colons and brackets unquoted, which cannot be mistaken for anything else.
func token(s string) (t, rest string) {
	i := 0
	for i < len(s) && (isAlphanumeric(s[i]) || strings.IndexByte("!#$%&'*+-.^_`|~:[]", s[i]) >= 0) {
		i++
	}
	return s[:i], s[i:]
}

func isAlphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
