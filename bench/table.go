package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// table is aligned Markdown, for a terminal and for the page.
type table struct {
	title string
	head  []string
	left  int // so many columns, from the first, are aligned left
	rows  [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t table) String() string {
	widths := make([]int, len(t.head))
	for _, line := range append([][]string{t.head}, t.rows...) {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell), 3)
		}
	}
	var b strings.Builder
	if t.title != "" {
		b.WriteString("**" + t.title + "**\n\n")
	}
	line := func(cells []string) {
		for i, cell := range cells {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i < t.left {
				b.WriteString("| " + cell + pad + " ")
			} else {
				b.WriteString("| " + pad + cell + " ")
			}
		}
		b.WriteString("|\n")
	}
	line(t.head)
	for i, w := range widths {
		if i < t.left {
			b.WriteString("|:" + strings.Repeat("-", w+1))
		} else {
			b.WriteString("|" + strings.Repeat("-", w+1) + ":")
		}
	}
	b.WriteString("|\n")
	for _, r := range t.rows {
		line(r)
	}
	return b.String()
}

// number shows three digits or all before the point, in groups.
func number(v float64) string {
	size := math.Abs(v)
	switch {
	case math.IsInf(v, 0):
		return "∞"
	case size < 0.0005:
		return "0"
	case size < 0.0995:
		return strconv.FormatFloat(v, 'f', 3, 64)
	case size < 9.995:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case size < 99.95:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return count(int(math.Round(v)))
}

// count shows n in groups of three digits.
func count(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// nanos shows a time in the unit that suits it.
func nanos(ns float64) string {
	switch d := time.Duration(ns); {
	case d < time.Microsecond:
		return count(int(math.Round(ns))) + " ns"
	case d < time.Millisecond:
		return number(ns/1e3) + " µs"
	case d < time.Second:
		return number(ns/1e6) + " ms"
	}
	return number(ns/1e9) + " s"
}

// times shows how v compares with base.
func times(v, base float64) string {
	if base == 0 {
		return "–"
	}
	return fmt.Sprintf("%s×", number(v/base))
}
