package main

import (
	"io"
	"os"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// wipe takes the terminal's cursor to the start of a line and clears it.
const wipe = "\r\x1b[K"

// screen is where the status goes: one line that is written over and over if it is a
// terminal, or else a line each time.
type screen struct {
	out  io.Writer
	live bool
}

func newScreen(f *os.File) *screen {
	info, err := f.Stat()
	return &screen{out: f, live: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

// status shows line until the next one.
func (s *screen) status(line string) {
	if s.live {
		s.write(wipe + line)
		return
	}
	s.write(line + "\n")
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

// newLog logs to stderr. On a terminal its lines pass above the status.
func newLog(s *screen) *zap.Logger {
	encoding := zap.NewDevelopmentEncoderConfig()
	encoding.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
	out := zapcore.Lock(zapcore.AddSync(above{s}))
	return zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(encoding), out, zap.InfoLevel))
}

// above writes a log's lines where the status is, which moves on at its next change.
type above struct{ *screen }

// Write implements io.Writer.
func (a above) Write(line []byte) (int, error) {
	if a.live {
		if _, err := os.Stderr.WriteString(wipe); err != nil {
			return 0, err
		}
	}
	return os.Stderr.Write(line)
}
