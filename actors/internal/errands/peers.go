package errands

import "github.com/asynkron/protoactor-go/actor"

// maxIdle is how many peers that nobody holds stay watched. To watch one anew for each
// request would cost more than the request.
const maxIdle = 64

// Peers are the actors that another watches as long as it has to do with them, and for a
// while longer. They belong to that one's turn.
type Peers struct {
	tell  func(*actor.PID, any)
	known map[string]*Peer
	idle  int
}

// Peer is one of them.
type Peer struct {
	pid  *actor.PID
	key  string
	held int
}

// NewPeers returns none. tell is how to send a system message.
func NewPeers(tell func(*actor.PID, any)) Peers {
	return Peers{tell: tell, known: map[string]*Peer{}}
}

// Find returns the peer pid, which is new if it is not watched.
func (s *Peers) Find(pid *actor.PID) *Peer {
	key := pid.Address + "/" + pid.Id
	p := s.known[key]
	if p == nil {
		p = &Peer{pid: pid, key: key}
	}
	return p
}

// Hold has watcher watch p at least until it is freed as often as it was held.
func (s *Peers) Hold(p *Peer, watcher *actor.PID) {
	if p.held++; p.held > 1 {
		return
	}
	if s.known[p.key] == p {
		s.idle--
		return
	}
	s.known[p.key] = p
	s.tell(p.pid, &actor.Watch{Watcher: watcher})
}

// Free ends one Hold.
func (s *Peers) Free(p *Peer, watcher *actor.PID) {
	if p.held--; p.held > 0 || s.known[p.key] != p {
		return
	}
	if s.idle++; s.idle > maxIdle {
		s.Dismiss(watcher)
	}
}

// Gone forgets the peer, which has stopped, and returns it, or nil. Whoever holds it frees
// it all the same.
func (s *Peers) Gone(who *actor.PID) *Peer {
	p := s.known[who.Address+"/"+who.Id]
	if p == nil {
		return nil
	}
	delete(s.known, p.key)
	if p.held == 0 {
		s.idle--
	}
	return p
}

// Dismiss unwatches those that nobody holds.
func (s *Peers) Dismiss(watcher *actor.PID) {
	for _, p := range s.known {
		if p.held == 0 {
			delete(s.known, p.key)
			s.tell(p.pid, &actor.Unwatch{Watcher: watcher})
		}
	}
	s.idle = 0
}
