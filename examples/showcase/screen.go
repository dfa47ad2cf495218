package main

import (
	"io"
	"os"
	"strconv"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

const (
	// wipe takes the terminal's cursor to the start of a line and clears from there on.
	wipe = "\r\x1b[J"

	// A terminal that is too narrow cuts lines off in between. Wrapped ones would be more lines
	// than show goes up.
	cut  = "\x1b[?7l"
	wrap = "\x1b[?7h"
)

// screen is where the table goes: some lines that are written over and over if it is a
// terminal, or else one after the other.
type screen struct {
	out  io.Writer
	live bool
	up   int // lines to go up to the table's first
}

func newScreen(f *os.File) *screen {
	info, err := f.Stat()
	return &screen{out: f, live: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

// show shows lines until the next ones; no lines take the table away.
func (s *screen) show(lines []string) {
	if !s.live {
		for _, line := range lines {
			s.write(line + "\n")
		}
		return
	}
	text := ""
	if s.up > 0 {
		text = "\x1b[" + strconv.Itoa(s.up) + "A"
	}
	s.up = len(lines)
	s.write(text + wipe + cut + strings.Join(append(lines, ""), "\n") + wrap)
}

// print shows line for good.
func (s *screen) print(line string) {
	if s.live {
		line = wipe + line
	}
	s.write(line + "\n")
}

func (s *screen) write(text string) { _, _ = io.WriteString(s.out, text) }

// paint colours text on a terminal.
func (s *screen) paint(colour, text string) string {
	if !s.live {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// newLog logs to stderr.
func newLog(s *screen) *zap.Logger {
	encoding := zap.NewDevelopmentEncoderConfig()
	encoding.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
	level := zap.InfoLevel
	if s.live { // it would get into the table
		level = zap.ErrorLevel
	}
	return zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(encoding), zapcore.Lock(os.Stderr), level))
}
