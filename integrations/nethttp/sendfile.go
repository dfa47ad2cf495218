package nethttp

import (
	"io"
	"io/fs"
	"math"
	"net/http"
	"syscall"
)

// maxPiece is how much of a file is sent at once. Between two pieces its handler may be
// abandoned.
const maxPiece = 1 << 20

// ReadFrom implements io.ReaderFrom. A source that may block is read without the lock; a file
// does not, and so the system may send it by itself.
func (a *attempt) ReadFrom(src io.Reader) (n int64, err error) {
	file := fileOf(src)
	if file == nil || !a.mayBegin() {
		return io.Copy(struct{ io.Writer }{a}, src)
	}
	for file.N > 0 {
		piece := io.LimitedReader{R: file.R, N: min(file.N, maxPiece)}
		sent, err := a.sendFile(&piece)
		n += sent
		file.N -= sent
		if err != nil || sent == 0 {
			return n, err
		}
	}
	return n, nil
}

// fileOf returns what of a regular file is to be read, or nil if src is none.
func fileOf(src io.Reader) *io.LimitedReader {
	part, ok := src.(*io.LimitedReader)
	if !ok {
		part = &io.LimitedReader{R: src, N: math.MaxInt64}
	}
	file, ok := part.R.(interface {
		syscall.Conn
		Stat() (fs.FileInfo, error)
	})
	if !ok {
		return nil
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	return part
}

// mayBegin reports whether a's response has begun; one without a status does now.
func (a *attempt) mayBegin() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.status == 0 {
		a.writeHeader(http.StatusOK)
	}
	return a.winner == a
}

func (a *attempt) sendFile(piece *io.LimitedReader) (int64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sending.Store(true)
	defer a.sending.Store(false)
	if a.over.Load() {
		return 0, http.ErrHandlerTimeout
	}
	return io.Copy(a.inner, piece)
}
