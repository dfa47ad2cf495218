package nethttp

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/bulwark-go/bulwark/integrations/internal/outlier"
	"github.com/bulwark-go/bulwark/patterns"
)

// Outliers is when a host of a Pool is ejected.
type Outliers = outlier.Config

// PoolConfig is a list of hosts that all answer the same requests.
type PoolConfig struct {
	// Name is the host of the URLs that the list is for: "bank.internal" of
	// http://bank.internal/pay. It need not exist. Requests to others go there unchanged, so
	// that no redirect makes the hosts of the list answer for somebody else.
	Name string

	// Hosts are the scheme and host of each: "http://10.0.0.1:8080". From 1 to 1,000.
	Hosts []string

	// Base makes the requests. Default http.DefaultTransport.
	Base http.RoundTripper

	// Outliers is when a host is ejected.
	Outliers Outliers
}

// maxPool is how many hosts a Pool may have.
const maxPool = 1000

// Pool is an http.RoundTripper that spreads requests over several hosts: each goes to the one
// with the fewest under way. One that fails more than the others is ejected for a while.
// Attempts that a retry or a hedge of a Transport around it makes go to hosts that the request
// has not been to, if there are any.
//
// A request under way is one whose response has not begun. The request keeps its own Host
// header; with https a host must be who its URL in the list says.
//
// A failure is an error of the request, unless the client has left, or a status of 500 or more.
// A Pool is safe for concurrent use.
type Pool struct {
	name  string
	hosts []poolHost
	base  http.RoundTripper
	start time.Time

	mu      sync.Mutex
	machine *outlier.Machine
}

type poolHost struct{ scheme, host string }

// NewPool returns a Pool. The error names every fault.
func NewPool(c PoolConfig) (*Pool, error) {
	faults := c.Outliers.Faults(pattern, "Outliers")
	fault := func(ok bool, field string, value any, problem string) {
		if !ok {
			faults = append(faults, &patterns.ConfigError{Pattern: pattern, Field: field, Value: value, Problem: problem})
		}
	}
	p := &Pool{name: hostOfURL(&url.URL{Scheme: "http", Host: c.Name}), base: c.Base, start: time.Now()}
	fault(c.Name != "" && !strings.ContainsAny(c.Name, "/@"), "PoolConfig.Name", fmt.Sprintf("%q", c.Name), "is no host")
	fault(len(c.Hosts) >= 1 && len(c.Hosts) <= maxPool, "PoolConfig.Hosts", len(c.Hosts), fmt.Sprintf("must be from 1 to %d", maxPool))
	known := map[poolHost]bool{}
	for i, text := range c.Hosts {
		field := fmt.Sprintf("PoolConfig.Hosts[%d]", i)
		h, problem := parseHost(text)
		fault(problem == "", field, fmt.Sprintf("%q", text), problem)
		fault(problem != "" || !known[h], field, fmt.Sprintf("%q", text), "is there twice")
		known[h] = true
		p.hosts = append(p.hosts, h)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if p.base == nil {
		p.base = http.DefaultTransport
	}
	p.machine = outlier.New(len(p.hosts), c.Outliers)
	return p, nil
}

func parseHost(text string) (h poolHost, problem string) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		return h, "is not like http://10.0.0.1:8080"
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return h, "has more than a scheme and a host"
	}
	return poolHost{u.Scheme, strings.ToLower(u.Host)}, ""
}

// triedKey is that of the hosts that a request has been to, in its context.
type triedKey struct{}

// triedHosts are those. They are for the machine of one Pool, under its lock.
type triedHosts struct {
	pool  *Pool
	hosts map[int]bool
}

// RoundTrip implements http.RoundTripper.
func (p *Pool) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL == nil || hostOf(r) != p.name {
		return p.base.RoundTrip(r)
	}
	ticket := p.pick(r)
	outcome := outlier.Bad // should it unwind
	defer func() { p.report(ticket, outcome) }()
	response, err := p.base.RoundTrip(p.readdress(r, p.hosts[ticket.Host]))
	switch {
	case err != nil && r.Context().Err() != nil && outcomeOfError(r.Context(), err) == patterns.Ignored:
		outcome = outlier.Unknown
	case err != nil, response == nil:
	case response.StatusCode < http.StatusInternalServerError:
		outcome = outlier.Good
	}
	if response != nil {
		response.Request = r
	}
	return response, err
}

// readdress returns r as it is for a host of the list.
func (p *Pool) readdress(r *http.Request, h poolHost) *http.Request {
	copied, to := *r, *r.URL
	to.Scheme, to.Host = h.scheme, h.host
	if copied.URL = &to; copied.Host == "" {
		copied.Host = r.URL.Host
	}
	return &copied
}

func (p *Pool) pick(r *http.Request) outlier.Ticket {
	tried, _ := r.Context().Value(triedKey{}).(*triedHosts)
	p.mu.Lock()
	defer p.mu.Unlock()
	if tried == nil || tried.pool != nil && tried.pool != p {
		return p.machine.Pick(time.Since(p.start), nil)
	}
	if tried.hosts == nil {
		tried.pool, tried.hosts = p, make(map[int]bool, 2)
	}
	t := p.machine.Pick(time.Since(p.start), func(i int) bool { return tried.hosts[i] })
	tried.hosts[t.Host] = true
	return t
}

func (p *Pool) report(t outlier.Ticket, o outlier.Outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.machine.Report(time.Since(p.start), t, o)
}

// CloseIdleConnections is for http.Client's method of that name.
func (p *Pool) CloseIdleConnections() {
	if c, ok := p.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// PoolHost is what a Pool knows of a host.
type PoolHost struct {
	// URL is its scheme and host.
	URL string
	// Ejected: it gets no requests for as long as Remaining says.
	Ejected   bool
	Remaining time.Duration
	// Ejections is how often it was.
	Ejections uint64
	// InFlight is how many requests wait for its response.
	InFlight int
	// Requests is how many have ended, but for those whose client left, and Failures how many
	// of those were failures.
	Requests, Failures uint64
}

// Hosts returns what is known of all, in the order of the list.
func (p *Pool) Hosts() []PoolHost {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Since(p.start)
	all := make([]PoolHost, len(p.hosts))
	for i, h := range p.hosts {
		s := p.machine.Of(now, i)
		all[i] = PoolHost{
			URL: h.scheme + "://" + h.host, Ejected: s.Ejected, Remaining: s.Remaining, Ejections: s.Ejections,
			InFlight: s.InFlight, Requests: s.Requests, Failures: s.Failures,
		}
	}
	return all
}
