package redistest

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// Wire is how a Proxy treats what passes through it.
type Wire int

const (
	// Whole passes everything.
	Whole Wire = iota
	// Cut closes every connection, and new ones at once.
	Cut
	// Swallowing takes what clients send and passes nothing on: a black hole.
	Swallowing
	// HalfOpen passes what clients send, and loses the answers: what was asked is done.
	HalfOpen
)

// Proxy is a wire to a server that can be bent and cut. Its methods may be called from any
// goroutine.
type Proxy struct {
	target   string
	listener net.Listener
	running  sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	wire    Wire
	latency time.Duration
	conns   map[net.Conn]bool // of both sides
	asked   int64             // connections so far
}

// NewProxy starts a wire to target that ends with the test.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{target: target, listener: listener, conns: make(map[net.Conn]bool)}
	p.running.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// Addr returns where clients find it.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// URL returns the same, as redis.ParseURL reads it.
func (p *Proxy) URL() string { return "redis://" + p.Addr() }

// Set changes how it treats what passes from now on. What was swallowed or lost does not
// come back: connections that lost something are closed when the wire is whole again, as
// their ends would disagree.
func (p *Proxy) Set(w Wire) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wire != w && (w == Cut || p.wire == Swallowing || p.wire == HalfOpen) {
		p.hangUp()
	}
	p.wire = w
}

// Delay has everything take that much longer in each direction.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latency = d
}

// HangUp closes the connections that there are. New ones are as the wire is.
func (p *Proxy) HangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hangUp()
}

// Connections returns how often somebody has connected.
func (p *Proxy) Connections() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

func (p *Proxy) hangUp() {
	for c := range p.conns {
		_ = c.Close() // it may be closed already
	}
	clear(p.conns)
}

func (p *Proxy) close() {
	_ = p.listener.Close()
	p.mu.Lock()
	p.closed = true
	p.hangUp()
	p.mu.Unlock()
	p.running.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		p.running.Go(func() { p.serve(client) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	if !p.register(client, true) {
		return
	}
	defer p.drop(client)
	server, err := net.DialTimeout("tcp", p.target, time.Second)
	if err != nil || !p.register(server, false) {
		return
	}
	defer p.drop(server)
	var both sync.WaitGroup
	both.Go(func() { p.carry(server, client, Swallowing, Swallowing) })
	both.Go(func() { p.carry(client, server, Swallowing, HalfOpen) })
	both.Wait()
}

func (p *Proxy) register(c net.Conn, asks bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if asks {
		p.asked++
	}
	if p.closed || p.wire == Cut {
		_ = c.Close()
		return false
	}
	p.conns[c] = true
	return true
}

func (p *Proxy) drop(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
	_ = c.Close()
}

// parcel is what is under way, and when it arrives.
type parcel struct {
	data []byte
	due  time.Time
}

// carry takes everything from one end to the other until either closes, then closes both.
// What is read while the wire is a or b is lost.
func (p *Proxy) carry(to, from net.Conn, a, b Wire) {
	parcels := make(chan parcel, 1024)
	var writer sync.WaitGroup
	writer.Go(func() {
		for m := range parcels {
			time.Sleep(time.Until(m.due))
			if _, err := to.Write(m.data); err != nil {
				_ = from.Close()
				break
			}
		}
		for range parcels { // what comes too late
		}
	})
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			p.mu.Lock()
			wire, due := p.wire, time.Now().Add(p.latency)
			p.mu.Unlock()
			if wire != a && wire != b {
				parcels <- parcel{append([]byte(nil), buffer[:n]...), due}
			}
		}
		if err != nil {
			break // io.EOF or a connection that was closed: the end in any case
		}
	}
	close(parcels)
	writer.Wait()
	_, _ = io.Closer(to).Close(), io.Closer(from).Close()
}
