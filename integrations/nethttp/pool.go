package nethttp

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/outlier"
)

// PoolConfig is a name for several hosts that all answer the same requests.
type PoolConfig struct {
	// Name is the host of the URLs that the pool is for: "bank.internal" of
	// http://bank.internal/pay. It need not exist. Requests to others go there unchanged, so
	// that no redirect makes the hosts of the pool answer for somebody else.
	Name string

	// Hosts says which of them a request goes to. Its members are the scheme and host of each:
	// "http://10.0.0.1:8080". Several pools may share it.
	Hosts *outlier.Ejector

	// Base makes the requests. Default http.DefaultTransport.
	Base http.RoundTripper
}

// Pool is an http.RoundTripper that spreads requests over several hosts, as an outlier.Ejector
// says: about to the one with the fewest under way, and not to one that fails more than the
// others. Attempts that a retry or a hedge of a Transport around it makes go to hosts that the
// request has not been to, if there are any.
//
// A request under way is one whose response has not begun. The request keeps its own Host
// header; with https a host must be who its URL says.
//
// A failure is an error of the request, unless the client has left, or its body has failed, or
// a status of 500 or more.
// A Pool is safe for concurrent use.
type Pool struct {
	name      string
	hosts     *outlier.Ejector
	base      http.RoundTripper
	addresses atomic.Pointer[map[string]address] // of members; a copy is made for each new one
}

// address is a member's URL, or why it has none.
type address struct{ scheme, host, problem string }

// maxAddresses is how many are known before they are forgotten: more than there are members.
const maxAddresses = 2000

// MemberError is the error of a request that was to go to a member of an outlier.Ejector that
// is no host: since NewPool has seen them, its members have changed. It counts as a failure of
// the member.
type MemberError struct {
	Member  string
	Problem string
}

func (e *MemberError) Error() string {
	return fmt.Sprintf("nethttp: member %q %s", e.Member, e.Problem)
}

// NewPool returns a Pool. The error names every fault.
func NewPool(c PoolConfig) (*Pool, error) {
	var faults []error
	fault := func(ok bool, field string, value any, problem string) {
		if !ok {
			faults = append(faults, &patterns.ConfigError{Pattern: pattern, Field: field, Value: value, Problem: problem})
		}
	}
	p := &Pool{name: hostOfURL(&url.URL{Scheme: "http", Host: c.Name}), hosts: c.Hosts, base: c.Base}
	p.addresses.Store(new(map[string]address))
	fault(c.Name != "" && !strings.ContainsAny(c.Name, "/@"), "PoolConfig.Name", fmt.Sprintf("%q", c.Name), "is no host")
	fault(c.Hosts != nil, "PoolConfig.Hosts", "nil", "is nil")
	if c.Hosts != nil {
		known := map[address]bool{}
		for i, member := range c.Hosts.Members() {
			field, a := fmt.Sprintf("PoolConfig.Hosts[%d]", i), p.addressOf(member)
			fault(a.problem == "", field, fmt.Sprintf("%q", member), a.problem)
			fault(a.problem != "" || !known[a], field, fmt.Sprintf("%q", member), "is there twice")
			known[a] = true
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if p.base == nil {
		p.base = http.DefaultTransport
	}
	return p, nil
}

func (p *Pool) addressOf(member string) address {
	known := p.addresses.Load()
	if a, ok := (*known)[member]; ok {
		return a
	}
	a := parseAddress(member)
	more := maps.Clone(*known)
	if more == nil || len(more) >= maxAddresses {
		more = make(map[string]address)
	}
	more[member] = a
	p.addresses.CompareAndSwap(known, &more) // if not, another one is known instead
	return a
}

func parseAddress(text string) address {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		return address{problem: "is not like http://10.0.0.1:8080"}
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return address{problem: "has more than a scheme and a host"}
	}
	return address{scheme: u.Scheme, host: strings.ToLower(u.Host)}
}

// RoundTrip implements http.RoundTripper.
func (p *Pool) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL == nil || hostOf(r) != p.name {
		return p.base.RoundTrip(r)
	}
	choice, err := p.hosts.Choose(r.Context())
	if err != nil {
		closeBody(r)
		return nil, err
	}
	outcome := patterns.Failure // should it unwind
	defer func() { choice.Report(outcome) }()
	to := p.addressOf(choice.Member())
	if to.problem != "" {
		closeBody(r)
		return nil, &MemberError{choice.Member(), to.problem}
	}
	response, err := p.base.RoundTrip(sourced(readdress(r, to)))
	switch {
	case err != nil && clientsOwn(r, err):
		outcome = patterns.Ignored
	case err != nil, response == nil:
	case response.StatusCode < http.StatusInternalServerError:
		outcome = patterns.Success
	}
	if response != nil {
		response.Request = r
	}
	return response, err
}

// clientsOwn reports whether err only says that the client has left, or could not send.
func clientsOwn(r *http.Request, err error) bool {
	if _, ok := errors.AsType[*sourceError](err); ok {
		return true
	}
	return r.Context().Err() != nil && outcomeOfError(r.Context(), err) == patterns.Ignored
}

// readdress returns r as it is for a host of the pool.
func readdress(r *http.Request, to address) *http.Request {
	copied, u := *r, *r.URL
	u.Scheme, u.Host = to.scheme, to.host
	if copied.URL = &u; copied.Host == "" {
		copied.Host = r.URL.Host
	}
	return &copied
}

// CloseIdleConnections is for http.Client's method of that name.
func (p *Pool) CloseIdleConnections() {
	if c, ok := p.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
