package clientip

import "strings"

// unknown is what an element has after for= that does not say.
const unknown = "unknown"

// maxForwarded is how many bytes of Forwarded headers are read: enough for maxHops that say all
// there is to say. A client that sends more is nobody.
const maxForwarded = 8 << 10

// forwardedFor iterates over what the elements of Forwarded headers say after for=, the last
// first; "" is an element that is empty. None of it is worth anything if any header is
// malformed: somebody may have opened a quotation for the next proxy to write into.
func forwardedFor(values []string) (last func(func(string) bool), ok bool) {
	var all []string
	left := maxForwarded
	for _, v := range values {
		if left -= len(v); left < 0 {
			return nil, false
		}
		elements, ok := elementsOf(v)
		if !ok {
			return nil, false
		}
		all = append(all, elements...)
	}
	return func(yield func(string) bool) {
		for i := len(all) - 1; i >= 0; i-- {
			if !yield(all[i]) {
				return
			}
		}
	}, true
}

// elementsOf reads a Forwarded header (RFC 7239, section 4).
func elementsOf(s string) (elements []string, ok bool) {
	current, seen := "", false // what it says after for=, and whether it does
	for {
		s = strings.TrimLeft(s, " \t")
		name, rest := token(s)
		if name != "" {
			if current == "" {
				current = unknown
			}
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
				if seen = true; value != "" {
					current = value
				}
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
