package main

import (
	"bytes"
	"image/color"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// figure is a drawing of results: panels of horizontal bars, side by side.
type figure struct {
	file, title string
	panels      []panel
}

// panel shows one metric of one case, a group of bars for each subject.
type panel struct {
	title    string
	c        string
	metric   metric
	unit     float64 // what a bar's label counts in
	subjects []string
	groups   []int  // goroutines, a bar each
	callers  string // what goroutines are called here; "" if there is one group, which says nothing
	beyond   string // the subject that may leave the scale; "" for none
}

const (
	figureWidth  = 10 * vg.Inch
	figureHeight = 4.2 * vg.Inch
)

// ready reports whether the run measured anything that the figure shows.
func (f figure) ready(rs results) bool {
	for _, p := range f.panels {
		for _, s := range p.subjects {
			for _, g := range p.groups {
				if _, ok := rs.find(p.c, s, g); !ok {
					return false
				}
			}
		}
	}
	return true
}

// save draws the figure as an SVG on white, which suits light and dark pages.
func (f figure) save(rs results, dir string) error {
	canvas := vgsvg.New(figureWidth, figureHeight)
	dc := draw.New(canvas)
	dc.SetColor(color.White)
	dc.Fill(dc.Rectangle.Path())
	row := make([]*plot.Plot, len(f.panels))
	for i, p := range f.panels {
		row[i] = p.draw(rs)
	}
	tiles := draw.Tiles{
		Rows: 1, Cols: len(row),
		PadX: vg.Points(24), PadTop: vg.Points(10), PadBottom: vg.Points(8), PadLeft: vg.Points(8), PadRight: vg.Points(8),
	}
	for i, c := range plot.Align([][]*plot.Plot{row}, tiles, dc)[0] {
		row[i].Draw(c)
	}
	var svg bytes.Buffer
	if _, err := canvas.WriteTo(&svg); err != nil {
		return err
	}
	// Few browsers have the Liberation fonts; these have their widths.
	out := strings.ReplaceAll(svg.String(), "font-family:Liberation Sans;", "font-family:Liberation Sans,Arial,Helvetica,sans-serif;")
	return os.WriteFile(filepath.Join(dir, f.file), []byte(out), 0o644)
}

func (p panel) draw(rs results) *plot.Plot {
	plt := plot.New()
	plt.Title.Text = p.title
	plt.Title.TextStyle.Font = style(12, font.WeightBold).Font
	plt.Title.Padding = vg.Points(4)
	plt.HideX()
	plt.Y.LineStyle.Width = 0
	plt.Y.Padding = vg.Points(4)
	plt.Y.Tick.LineStyle.Width = 0
	plt.Y.Tick.Label.Font = style(11, font.WeightNormal).Font
	names := make([]string, len(p.subjects))
	for i, s := range p.subjects {
		names[len(names)-1-i] = s // the first on top
	}
	plt.NominalY(names...)
	b := &bars{panel: p, rs: rs, scale: p.scale(rs)}
	plt.Add(b)
	plt.X.Min, plt.X.Max = 0, 1.2*b.scale                 // room for the labels
	plt.Y.Min, plt.Y.Max = -0.5, float64(len(p.subjects)) // the last half is for the legend
	return plt
}

// scale is the largest value on the scale.
func (p panel) scale(rs results) float64 {
	top := 0.0
	for _, s := range p.subjects {
		if s != p.beyond {
			for _, g := range p.groups {
				top = max(top, p.value(rs, s, g))
			}
		}
	}
	return max(top, 1e-9)
}

func (p panel) value(rs results, subject string, goroutines int) float64 {
	r, _ := rs.find(p.c, subject, goroutines)
	return *r.at(p.metric) / p.unit
}

// bars draws the groups of a panel. It implements plot.Plotter.
type bars struct {
	panel
	rs    results
	scale float64
}

// Plot implements plot.Plotter.
func (b *bars) Plot(c draw.Canvas, plt *plot.Plot) {
	x, y := plt.Transforms(&c)
	unit := y(1) - y(0) // of one subject
	height := 0.76 * unit / vg.Length(len(b.groups))
	b.legend(c, vg.Point{X: x(0), Y: y(float64(len(b.subjects)) - 0.4)})
	for i, s := range b.subjects {
		top := y(float64(len(b.subjects)-1-i)) + 0.38*unit
		for j, g := range b.groups {
			v := b.value(b.rs, s, g)
			low := top - vg.Length(j+1)*height
			end, broken := x(v), v > b.scale*1.05
			if broken {
				end = x(b.scale * 1.05)
			}
			bar := vg.Rectangle{Min: vg.Point{X: x(0), Y: low}, Max: vg.Point{X: end, Y: low + 0.9*height}}
			c.SetColor(shade(strings.HasPrefix(s, "bulwark"), j))
			c.Fill(bar.Path())
			if broken { // a gap says that the bar goes on
				cut(&c, bar)
			}
			label := style(9, font.WeightNormal)
			label.YAlign = text.YCenter
			c.FillText(label, vg.Point{X: end + vg.Points(4), Y: low + 0.45*height}, number(v))
		}
	}
}

// cut draws a slanted white gap through bar, near its end.
func cut(c *draw.Canvas, bar vg.Rectangle) {
	const wide, slant = 4, 4
	at := bar.Max.X - vg.Points(20)
	c.FillPolygon(color.White, []vg.Point{
		{X: at, Y: bar.Min.Y - 1},
		{X: at + vg.Points(wide), Y: bar.Min.Y - 1},
		{X: at + vg.Points(wide+slant), Y: bar.Max.Y + 1},
		{X: at + vg.Points(slant), Y: bar.Max.Y + 1},
	})
}

// legend draws a sample of each group's color above the bars.
func (b *bars) legend(c draw.Canvas, at vg.Point) {
	const side = 8
	if b.callers == "" {
		return
	}
	label := style(9, font.WeightNormal)
	label.YAlign = text.YCenter
	for i, g := range b.groups {
		c.SetColor(shade(false, i))
		c.Fill(vg.Rectangle{Min: at, Max: at.Add(vg.Point{X: vg.Points(side), Y: vg.Points(side)})}.Path())
		at.X += vg.Points(side + 4)
		name := plural(g, b.callers)
		c.FillText(label, at.Add(vg.Point{Y: vg.Points(side / 2)}), name)
		at.X += label.Width(name) + vg.Points(16)
	}
}

// shade is blue for ours and grey for others, and lighter for each later group.
func shade(ours bool, group int) color.Color {
	dark, light := color.RGBA{R: 0x6b, G: 0x72, B: 0x80, A: 0xff}, color.RGBA{R: 0xbd, G: 0xc3, B: 0xcc, A: 0xff}
	if ours {
		dark, light = color.RGBA{R: 0x1d, G: 0x4e, B: 0xd8, A: 0xff}, color.RGBA{R: 0x7d, G: 0xa7, B: 0xf5, A: 0xff}
	}
	if group == 0 {
		return dark
	}
	return light
}

func style(points float64, weight font.Weight) text.Style {
	s := text.Style{Color: color.Black, Handler: plot.DefaultTextHandler}
	s.Font = plot.DefaultFont
	s.Font.Variant, s.Font.Weight, s.Font.Size = "Sans", weight, vg.Points(points)
	return s
}
