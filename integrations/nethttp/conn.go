package nethttp

import (
	"errors"
	"io"
	"net"
	"sync"
)

// conn is a hijacked connection, which tells when it is closed.
type conn struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

// Close implements net.Conn.
func (c *conn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { close(c.closed) })
	return err
}

// NetConn returns the connection itself, as that of a tls.Conn does. Whoever closes it
// keeps the permit.
func (c *conn) NetConn() net.Conn { return c.Conn }

// CloseWrite closes one half of the connection, if it has halves. The permit is still held.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// ReadFrom implements io.ReaderFrom, so that the system may copy by itself.
func (c *conn) ReadFrom(src io.Reader) (int64, error) { return io.Copy(c.Conn, src) }

// WriteTo implements io.WriterTo.
func (c *conn) WriteTo(dst io.Writer) (int64, error) { return io.Copy(dst, c.Conn) }
