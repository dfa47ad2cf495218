package adaptive

import (
	"flag"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/internal/simulation"
)

var draw = flag.Bool("draw", false, "write the table and the plot of docs/patterns/adaptive.md anew, from testdata/scores.txt and the rivals'")

const (
	pageFile   = "../../docs/patterns/adaptive.md"
	plotFile   = "../../docs/patterns/adaptive.svg"
	rivalsFile = "../../bench/testdata/adaptive_rivals.txt"
)

// shown are those of which the page tells, and their colours in the plot.
var shown = []struct{ name, colour string }{
	{"knee", "#0b3d91"}, {"failsafe-go", "#e07b00"}, {"gradient2", "#2a9d4a"}, {"vegas", "#9b59b6"}, {"aimd", "#c0392b"},
}

// result is what somebody scored in a scenario, relative to the best fixed limit.
type result struct{ goodput, p99 float64 }

// tableOf reads the committed scores: the scenarios in their order, and who scored what.
func tableOf(t *testing.T) (order []string, scores map[string]map[string]result) {
	t.Helper()
	scores = make(map[string]map[string]result)
	names := make([]string, 0, len(rivals))
	for _, a := range rivals {
		names = append(names, a.String())
	}
	for _, line := range lines(t, scoresFile) {
		cells := strings.Split(line, "|")
		if len(cells) != len(names)+2 || len(line) < 14 || strings.TrimSpace(line[:14]) == "" {
			continue
		}
		s := strings.TrimSpace(line[:14])
		order, scores[s] = append(order, s), make(map[string]result)
		for i, n := range names {
			scores[s][n] = resultOf(t, strings.Fields(cells[i+1]))
		}
	}
	for _, c := range classes {
		scores[c.row] = make(map[string]result)
	}
	for _, line := range lines(t, scoresFile) {
		for _, c := range classes {
			if f := strings.Fields(line); strings.HasPrefix(line, c.row) {
				for i, n := range names {
					scores[c.row][n] = resultOf(t, []string{f[len(f)-len(names)+i], "0"})
				}
			}
		}
	}
	for _, line := range lines(t, rivalsFile) {
		for _, c := range classes {
			if f := strings.Fields(line); strings.HasPrefix(line, c.row) {
				scores[c.row]["failsafe-go"] = resultOf(t, []string{f[len(f)-1], "0"})
			}
		}
		if len(line) < 15 {
			continue
		}
		if row, ok := scores[strings.TrimSpace(line[:14])]; ok {
			f := strings.Fields(line[14:])
			row["failsafe-go"] = resultOf(t, []string{f[0], f[2]})
		}
	}
	return order, scores
}

func lines(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(text), "\n")
}

func resultOf(t *testing.T, f []string) (r result) {
	t.Helper()
	var err error
	if r.goodput, err = strconv.ParseFloat(f[0], 64); err != nil {
		t.Fatal(err)
	}
	if r.p99, err = strconv.ParseFloat(f[1], 64); err != nil {
		t.Fatal(err)
	}
	return r
}

// pageTable has a row for each scenario, and one for each number of workers, with the
// worst of the four services.
func pageTable(order []string, scores map[string]map[string]result) string {
	var w strings.Builder
	w.WriteString("| |")
	for _, s := range shown {
		fmt.Fprintf(&w, " %s |", s.name)
	}
	w.WriteString("\n|---|" + strings.Repeat("---|", len(shown)) + "\n")
	row := func(name string, of ...string) {
		fmt.Fprintf(&w, "| %s |", name)
		for _, s := range shown {
			worst := result{goodput: math.Inf(1)}
			for _, scenario := range of {
				r := scores[scenario][s.name]
				worst = result{min(worst.goodput, r.goodput), max(worst.p99, r.p99)}
			}
			fmt.Fprintf(&w, " %.2f · %.1f |", worst.goodput, worst.p99)
		}
		w.WriteString("\n")
	}
	sizes := make(map[string][]string)
	var workers []string
	for _, s := range order {
		n, mean, ok := strings.Cut(s, " x ")
		if _, err := time.ParseDuration(mean); !ok || err != nil {
			row(s, s)
			continue
		}
		if sizes[n] == nil {
			workers = append(workers, n)
		}
		sizes[n] = append(sizes[n], s)
	}
	for _, n := range workers {
		unit := "workers"
		if n == "1" {
			unit = "worker"
		}
		row(n+" "+unit+", 1 ms to 1 s", sizes[n]...)
	}
	for _, c := range classes {
		fmt.Fprintf(&w, "| %s |", c.said)
		for _, s := range shown {
			fmt.Fprintf(&w, " %.3f |", scores[c.row][s.name].goodput)
		}
		w.WriteString("\n")
	}
	return w.String()
}

// classes are the rows of the tables that are of single callers, with what the page says.
var classes = []struct{ row, said string }{
	{"critical calls at 3x", "critical calls answered at 3×"},
	{"Jain, noisy tenant", "Jain's index, one tenant sends 80 %"},
}

const (
	rowHeight, top, left   = 21, 64, 108
	panelWidth, gap, right = 330, 46, 24
)

// plot is the table as dots: the further right the better in the first panel, the further
// left the better in the second.
func plot(order []string, scores map[string]map[string]result) string {
	var w strings.Builder
	width, height := left+2*panelWidth+gap+right, top+rowHeight*len(order)+34
	bottom := top + rowHeight*len(order)
	fmt.Fprintf(&w, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="11">`+"\n", width, height, width, height)
	fmt.Fprintf(&w, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", width, height)
	text := func(x, y float64, anchor, style, s string) {
		fmt.Fprintf(&w, `<text x="%.1f" y="%.1f" text-anchor="%s" %s>%s</text>`+"\n", x, y, anchor, style, s)
	}
	x := float64(left)
	for _, s := range shown {
		fmt.Fprintf(&w, `<circle cx="%.1f" cy="14" r="4.5" fill="%s"/>`+"\n", x, s.colour)
		text(x+9, 18, "start", `fill="#222"`, s.name)
		x += 110
	}
	goodput := axis{from: left, title: "goodput, of the best fixed limit's", ticks: []float64{0, 0.2, 0.4, 0.6, 0.8, 1}, scale: func(v float64) float64 { return clamp(v, 0, 1.05) / 1.05 }}
	p99 := axis{
		from: left + panelWidth + gap, title: "p99, as a multiple of the best fixed limit's", ticks: []float64{0.2, 0.5, 1, 2, 5, 10},
		scale: func(v float64) float64 { return math.Log(clamp(v, 0.18, 14)/0.18) / math.Log(14/0.18) },
	}
	for i := range order {
		if i%2 == 0 {
			fmt.Fprintf(&w, `<rect x="0" y="%d" width="%d" height="%d" fill="#f5f6f8"/>`+"\n", top+i*rowHeight, width, rowHeight)
		}
	}
	for _, a := range []axis{goodput, p99} {
		text(float64(a.from), 42, "start", `fill="#222" font-weight="bold"`, a.title)
		for _, v := range a.ticks {
			colour := "#d5d8dd"
			if v == 1 {
				colour = "#888"
			}
			fmt.Fprintf(&w, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="%s"/>`+"\n", a.at(v), a.at(v), top, bottom, colour)
			text(a.at(v), float64(top)-6, "middle", `fill="#555"`, strconv.FormatFloat(v, 'g', -1, 64))
			text(a.at(v), float64(bottom)+14, "middle", `fill="#555"`, strconv.FormatFloat(v, 'g', -1, 64))
		}
	}
	for i, s := range order {
		y := float64(top) + (float64(i)+0.5)*rowHeight
		text(left-10, y+4, "end", `fill="#222"`, s)
		for k := len(shown) - 1; k >= 0; k-- { // ours on top
			r, ok := scores[s][shown[k].name]
			if !ok {
				continue
			}
			at, size := y+3.2*(float64(k)-float64(len(shown)-1)/2), 3.0
			if k == 0 {
				size = 4
			}
			for _, c := range []float64{goodput.at(r.goodput), p99.at(r.p99)} {
				fmt.Fprintf(&w, `<circle cx="%.1f" cy="%.1f" r="%.1f" fill="%s" fill-opacity="0.85"/>`+"\n", c, at, size, shown[k].colour)
			}
		}
	}
	w.WriteString("</svg>\n")
	return w.String()
}

type axis struct {
	from  int
	title string
	ticks []float64
	scale func(v float64) float64 // to [0, 1]
}

func (a axis) at(v float64) float64 { return float64(a.from) + panelWidth*a.scale(v) }

// The page shows what was measured. To show it anew:
//
//	go test -run TestThePageShowsTheScores ./patterns/adaptive -draw
func TestThePageShowsTheScores(t *testing.T) {
	order, scores := tableOf(t)
	if want := len(simulation.Scenarios()) + len(simulation.Sizes()); len(order) != want {
		t.Fatalf("%d scenarios, want %d", len(order), want)
	}
	table, picture := pageTable(order, scores), plot(order, scores)
	const begin, end = "<!-- scores -->\n", "<!-- end of scores -->"
	page := strings.Join(lines(t, pageFile), "\n")
	before, rest, ok := strings.Cut(page, begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no place for the scores", pageFile)
	}
	want := before + begin + table + end + after
	if *draw {
		write(t, pageFile, want)
		write(t, plotFile, picture)
		return
	}
	if page != want {
		t.Errorf("the table in %s is not that of the scores", pageFile)
	}
	if got := strings.Join(lines(t, plotFile), "\n"); got != picture {
		t.Errorf("%s is not drawn from the scores", plotFile)
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
