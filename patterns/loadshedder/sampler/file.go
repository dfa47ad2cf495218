package sampler

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// maxFile bounds what is read of one file. Those read here have some kilobytes at most.
const maxFile = 32 << 10

// file is one that is read again and again, and kept open meanwhile: the kernel writes
// its contents anew for every read from the beginning, and opening costs three times as
// much as reading.
type file struct {
	path string // in the fs.FS
	open fs.File
}

func (f *file) ready(fsys fs.FS) error {
	if f.open != nil {
		return nil
	}
	open, err := fsys.Open(f.path)
	if err == nil {
		f.open = open
	}
	return err
}

// read returns the contents, in buf, which is larger than they may be. After an error
// the file is opened anew.
func (f *file) read(fsys fs.FS, buf []byte) ([]byte, error) {
	if err := f.ready(fsys); err != nil {
		return nil, err
	}
	var n int
	var err error
	// ReadAt, not Read: of a pressure file, which can be polled, os.File lets nobody Read
	// once it was.
	if at, ok := f.open.(io.ReaderAt); ok {
		n, err = at.ReadAt(buf, 0)
	} else {
		n, err = io.ReadFull(f.open, buf)
		defer f.close()
	}
	switch {
	case err == nil:
		err = fmt.Errorf("%s: longer than %d bytes", f.path, len(buf)-1)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return buf[:n], nil
	}
	f.close()
	return nil, err
}

func (f *file) close() {
	if f.open != nil {
		_ = f.open.Close() // it was read only
		f.open = nil
	}
}

// wrong is the error of a file whose contents are.
func (f *file) wrong(err error) error { return fmt.Errorf("%s: %w", f.path, err) }
