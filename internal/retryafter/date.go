package retryafter

import (
	"strings"
	"time"
)

const (
	shortDays = "MonTueWedThuFriSatSun"
	months    = "JanFebMarAprMayJunJulAugSepOctNovDec"
)

// longDays are the names of RFC 850.
var longDays = [...]string{"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"}

// Date reads an HTTP-date (RFC 9110, section 5.6.7), in UTC; ok is false if it is none. now
// says which century is meant where the year has two digits.
//
// It takes the form to the letter, as time.Parse does not: that knows other zones, other
// digits and fractions. Only whether the day of the week is right is nobody's business.
func Date(value string, now time.Time) (at time.Time, ok bool) {
	value = trim(value)
	if len(value) < 4 {
		return time.Time{}, false
	}
	switch value[3] {
	case ',':
		return imfFixdate(value)
	case ' ':
		return asctime(value)
	default:
		return rfc850(value, now)
	}
}

// imfFixdate reads Sun, 06 Nov 1994 08:49:37 GMT.
func imfFixdate(s string) (time.Time, bool) {
	if !fits(s, "aaa, 00 aaa 0000 00:00:00 GMT") || name(shortDays, s[:3]) == 0 {
		return time.Time{}, false
	}
	return date(number(s[12:16]), s[8:11], s[5:7], s[17:25])
}

// asctime reads Sun Nov  6 08:49:37 1994.
func asctime(s string) (time.Time, bool) {
	if !fits(s, "aaa aaa _0 00:00:00 0000") || name(shortDays, s[:3]) == 0 {
		return time.Time{}, false
	}
	return date(number(s[20:24]), s[4:7], strings.TrimLeft(s[8:10], " "), s[11:19])
}

// rfc850 reads Sunday, 06-Nov-94 08:49:37 GMT. A year that would be more than 50 years
// from now is meant to be past.
func rfc850(s string, now time.Time) (time.Time, bool) {
	day, rest, _ := strings.Cut(s, ", ")
	if !fits(rest, "00-aaa-00 00:00:00 GMT") || !isLongDay(day) {
		return time.Time{}, false
	}
	limit := now.UTC().AddDate(50, 0, 0)
	year := limit.Year()/100*100 + number(rest[7:9])
	if at, ok := date(year, rest[3:6], rest[:2], rest[10:18]); ok && !at.After(limit) {
		return at, true
	}
	return date(year-100, rest[3:6], rest[:2], rest[10:18])
}

func isLongDay(s string) bool {
	for _, d := range longDays {
		if s == d {
			return true
		}
	}
	return false
}

// date puts a date together from a month's name, a day, and a time of day that fits
// 00:00:00. A second 60 is the leap second's, and the next one.
func date(year int, monthName, dayDigits, clock string) (time.Time, bool) {
	month, day := name(months, monthName), number(dayDigits)
	hour, minute, second := number(clock[:2]), number(clock[3:5]), number(clock[6:8])
	if month == 0 || hour > 23 || minute > 59 || second > 60 || day < 1 {
		return time.Time{}, false
	}
	at := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	if at.Day() != day { // the month is shorter
		return time.Time{}, false
	}
	return time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC), true
}

// fits reports whether s has the form of a layout, in which a stands for a letter, 0 for a
// digit, _ for a digit or a space, and all else for itself.
func fits(s, layout string) bool {
	if len(s) != len(layout) {
		return false
	}
	for i := range len(s) {
		c, digit := s[i], s[i] >= '0' && s[i] <= '9'
		var ok bool
		switch layout[i] {
		case 'a':
			ok = c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		case '0':
			ok = digit
		case '_':
			ok = digit || c == ' '
		default:
			ok = c == layout[i]
		}
		if !ok {
			return false
		}
	}
	return true
}

// name returns which of names, of three letters each, s is, from 1; 0 if none.
func name(names, s string) int {
	for i := 0; i < len(names); i += 3 {
		if names[i:i+3] == s {
			return i/3 + 1
		}
	}
	return 0
}

// number reads digits, few enough for an int.
func number(digits string) (n int) {
	for _, c := range []byte(digits) {
		n = n*10 + int(c-'0')
	}
	return n
}
