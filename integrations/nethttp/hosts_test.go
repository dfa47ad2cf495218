package nethttp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/hedge"
	"github.com/bulwark-go/bulwark/patterns/outlier"
)

// worlds is an http.RoundTripper that has every host there is. Bodies are the host's name;
// those of hosts that begin with "down" are failures.
type worlds struct{ requests atomic.Int64 }

func (w *worlds) RoundTrip(r *http.Request) (*http.Response, error) {
	w.requests.Add(1)
	status := 200
	if strings.HasPrefix(strings.ToLower(r.URL.Host), "down") {
		status = 500
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(r.URL.Host)), Request: r}, nil
}

func breakers(guards *actors.Registry, made *atomic.Int64) func(host string) (patterns.Guard, error) {
	return func(host string) (patterns.Guard, error) {
		made.Add(1)
		return circuitbreaker.Spawn(guards, "bank/"+host, circuitbreaker.Config{ConsecutiveFailures: 1})
	}
}

func names(h *nethttp.Hosts) (all []string) {
	for host, g := range h.All() {
		all = append(all, host+"="+g.Name())
	}
	return all
}

func TestEachHostHasABreakerOfItsOwn(t *testing.T) {
	guards := registry(t)
	var made atomic.Int64
	h := nethttp.PerHost(breakers(guards, &made))
	c := &http.Client{Transport: nethttp.Transport(new(worlds), h)}
	for _, url := range []string{"http://up/", "http://UP:80/x", "http://up./", "https://up:443/", "http://down/", "http://up:8080/", "http://[::1]/", "http://[::1]:81/"} {
		if got := fetch(t, c, url); got.err != nil {
			t.Errorf("%s: %v", url, got.err)
		}
	}
	want := []string{"[::1]=bank/[::1]", "[::1]:81=bank/[::1]:81", "down=bank/down", "up=bank/up", "up:8080=bank/up:8080"}
	if got := names(h); !slices.Equal(got, want) || made.Load() != 5 {
		t.Errorf("%d were made: %v", made.Load(), got)
	}
	if got := fetch(t, c, "http://down/"); !errors.Is(got.err, circuitbreaker.ErrOpen) {
		t.Errorf("got %d, %v", got.status, got.err)
	}
	wantBody(t, fetch(t, c, "http://up/"), 200, "up")
	if _, ok := guards.Get("bank/up"); !ok {
		t.Error("no such guard")
	}
	if _, err := h.Acquire(t.Context()); !errors.Is(err, nethttp.ErrHosts) {
		t.Error(err)
	}
}

func TestTheHostThatWasNotUsedForLongestMakesRoom(t *testing.T) {
	guards := registry(t)
	var made atomic.Int64
	shared := newBreaker(t, guards, circuitbreaker.Config{})
	spawn := breakers(guards, &made)
	h := nethttp.PerHost(func(host string) (patterns.Guard, error) {
		g, err := spawn(host)
		if err != nil {
			return nil, err
		}
		return line(t, shared, g), nil
	}, nethttp.MaxHosts(2))
	c := &http.Client{Transport: nethttp.Transport(new(worlds), h)}
	for _, host := range []string{"a", "b", "a", "c", "a", "b"} {
		wantBody(t, fetch(t, c, "http://"+host), 200, host)
	}
	if got := names(h); !slices.Equal(got, []string{"a=line", "b=line"}) || made.Load() != 4 {
		t.Errorf("%d were made: %v", made.Load(), got)
	}
	if _, ok := guards.Get("bank/c"); ok {
		t.Error("what is forgotten goes on")
	}
	if n := balanced(t, shared); n.Success != 6 {
		t.Errorf("%+v", n)
	}
}

func TestHostsThatAreBusyAreNotForgotten(t *testing.T) {
	guards := registry(t)
	h := nethttp.PerHost(func(host string) (patterns.Guard, error) {
		return bulkhead.Spawn(guards, "room/"+host, bulkhead.Config{})
	}, nethttp.MaxHosts(1))
	c := &http.Client{Transport: nethttp.Transport(new(worlds), h)}
	response, err := c.Do(request(t, http.MethodGet, "http://a", nil))
	if err != nil {
		t.Fatal(err)
	}
	got := fetch(t, c, "http://b")
	if full, ok := errors.AsType[*nethttp.HostsError](got.err); !ok || full.Max != 1 || !errors.Is(got.err, patterns.ErrRejected) {
		t.Errorf("got %d, %v", got.status, got.err)
	}
	_ = response.Body.Close()
	wantBody(t, fetch(t, c, "http://b"), 200, "b")
}

func TestManyAskForManyHostsAtOnce(t *testing.T) {
	guards := registry(t)
	var made atomic.Int64
	h := nethttp.PerHost(breakers(guards, &made), nethttp.MaxHosts(8))
	c := &http.Client{Transport: nethttp.Transport(new(worlds), h)}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 50 {
				host := fmt.Sprint("h", (i*7+j)%12)
				if got := fetch(t, c, "http://"+host); got.body != host && !errors.Is(got.err, patterns.ErrRejected) {
					t.Errorf("%s: got %q, %v", host, got.body, got.err)
				}
			}
		})
	}
	all.Wait()
	n := 0
	for range guards.Guards() {
		n++
	}
	if got := len(names(h)); got > 8 || n != got {
		t.Errorf("%d hosts, %d guards", got, n)
	}
}

func TestAHostWhoseGuardCannotBeMadeIsNotAsked(t *testing.T) {
	wrong := errors.New("no such bank")
	w := new(worlds)
	for name, make := range map[string]func(string) (patterns.Guard, error){
		"an error": func(string) (patterns.Guard, error) { return nil, wrong },
		"nothing":  func(string) (patterns.Guard, error) { return nil, nil },
		"hosts":    func(string) (patterns.Guard, error) { return nethttp.PerHost(nil), nil },
	} {
		body := &watched{Reader: strings.NewReader("x")}
		got := send(t, &http.Client{Transport: nethttp.Transport(w, nethttp.PerHost(make))}, request(t, http.MethodPut, "http://a", body))
		if got.err == nil || !body.closed.Load() {
			t.Errorf("%s: got %d, closed %v", name, got.status, body.closed.Load())
		}
	}
	if n := w.requests.Load(); n != 0 {
		t.Errorf("%d requests", n)
	}
	_, err := nethttp.NewTransport(nil, nethttp.PerHost(nil, nethttp.MaxHosts(-1)))
	if want := "nethttp: PerHost nil: is nil\nnethttp: MaxHosts -1: must be from 1 to 1048576"; err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

// three are three servers behind one name, each of which says its number.
func three(t testing.TB, down *[3]atomic.Bool) (urls []string, all [3]*site) {
	for i := range all {
		all[i] = newSite(t, func(w http.ResponseWriter, _ *http.Request) {
			if down[i].Load() {
				panic(http.ErrAbortHandler)
			}
			_, _ = fmt.Fprint(w, i)
		})
		urls = append(urls, all[i].URL)
	}
	return urls, all
}

// newEjector has no members but urls.
func newEjector(t testing.TB, guards *actors.Registry, c outlier.Config, urls ...string) *outlier.Ejector {
	t.Helper()
	c.Members = outlier.List(urls...)
	e, err := outlier.Spawn(guards, "hosts", c)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// newPool is bank.internal.
func newPool(t testing.TB, hosts *outlier.Ejector) *nethttp.Pool {
	t.Helper()
	p, err := nethttp.NewPool(nethttp.PoolConfig{Name: "bank.internal", Hosts: hosts, Base: wire(t)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// members are those of e as of now.
func members(t testing.TB, e *outlier.Ejector) []outlier.Member {
	t.Helper()
	s, ok := e.Snapshot(t.Context())
	if !ok {
		t.Fatal("no snapshot")
	}
	return s.Members
}

func TestAHostOfThreeThatDiesUnderLoadIsEjectedAndComesBack(t *testing.T) {
	guards := registry(t)
	var down [3]atomic.Bool
	urls, _ := three(t, &down)
	const away = 300 * time.Millisecond
	hosts := newEjector(t, guards, outlier.Config{Consecutive: 3, EjectFor: away}, urls...)
	p := newPool(t, hosts)
	b := newBreaker(t, guards, circuitbreaker.Config{FailureRatio: 1})
	c := &http.Client{Transport: nethttp.Transport(p, line(t, newRetry(t, guards, 3), b))}

	var ok atomic.Int64
	visit := func() {
		if got := fetch(t, c, "http://bank.internal/pay"); got.err != nil || got.status != 200 {
			t.Errorf("got %d, %v", got.status, got.err)
		}
		ok.Add(1)
	}
	stop := make(chan struct{})
	var load sync.WaitGroup
	for range 8 {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				visit()
			}
		})
	}
	until := func(what string, is func(outlier.Member) bool) {
		t.Helper()
		for deadline := time.Now().Add(hung); !is(members(t, hosts)[1]); {
			if time.Now().After(deadline) {
				t.Fatalf("%s: %+v", what, members(t, hosts)[1])
			}
			visit()
		}
	}
	until("it works", func(h outlier.Member) bool { return h.Calls > 20 })
	down[1].Store(true)
	until("it is ejected", func(h outlier.Member) bool { return h.Ejected && h.Remaining <= away && h.Failures >= 3 })
	down[1].Store(false)
	until("it is back", func(h outlier.Member) bool { return !h.Ejected && h.Ejections > 0 })
	before := members(t, hosts)[1].Calls
	until("it works again", func(h outlier.Member) bool { return h.Calls > before+20 && !h.Ejected })
	close(stop)
	load.Wait()
	for _, h := range members(t, hosts) {
		if h.InFlight != 0 {
			t.Errorf("%+v", h)
		}
	}
	balanced(t, b)
	t.Log(ok.Load(), "requests, all of which succeeded; failures of the host that died:", members(t, hosts)[1].Failures)
}

func TestAnAttemptGoesWhereTheRequestHasNotBeen(t *testing.T) {
	guards := registry(t)
	var down [3]atomic.Bool
	urls, sites := three(t, &down)
	down[0].Store(true)
	down[1].Store(true)
	p := newPool(t, newEjector(t, guards, outlier.Config{Consecutive: 1000}, urls...))
	c := &http.Client{Transport: nethttp.Transport(p, newRetry(t, guards, 3))}
	for range 6 {
		wantBody(t, fetch(t, c, "http://bank.internal"), 200, "2")
	}
	for i, s := range sites {
		// package http itself tries again on a connection that it had used before
		if n := s.requests.Load(); i == 2 && n != 6 {
			t.Errorf("%d requests to the one that works", n)
		}
	}

	h, err := hedge.Spawn(guards, "hedge", hedge.Config{Delay: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	var stuck sync.Map
	base := tripper(func(r *http.Request) (*http.Response, error) {
		if _, second := stuck.LoadOrStore("once", r.URL.Host); !second {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		return new(worlds).RoundTrip(r)
	})
	two, err := outlier.Spawn(guards, "two", outlier.Config{Members: outlier.List("http://a", "http://b")})
	if err != nil {
		t.Fatal(err)
	}
	p, err = nethttp.NewPool(nethttp.PoolConfig{Name: "x", Hosts: two, Base: base})
	if err != nil {
		t.Fatal(err)
	}
	wantBody(t, fetch(t, &http.Client{Transport: nethttp.Transport(p, h)}, "http://x"), 200, "b")
}

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestRequestsToOthersPassAPoolUnchanged(t *testing.T) {
	guards := registry(t)
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/away" {
			http.Redirect(w, r, "http://"+r.Host+"/here", http.StatusFound)
			return
		}
		_, _ = fmt.Fprint(w, r.Host, " ", r.Header.Get("Authorization"))
	})
	hosts := newEjector(t, guards, outlier.Config{}, s.URL)
	p := newPool(t, hosts)
	c := &http.Client{Transport: p}
	wantBody(t, send(t, c, request(t, http.MethodGet, "http://Bank.internal/a", nil, "Authorization", "mine")), 200, "Bank.internal mine")
	wantBody(t, fetch(t, c, s.URL+"/a"), 200, s.Listener.Addr().String()+" ")
	wantBody(t, fetch(t, c, "http://bank.internal/away"), 200, "bank.internal ") // relative to the name, not to the host
	if h := members(t, hosts)[0]; h.Calls != 3 || h.Name != s.URL {
		t.Errorf("%+v", h)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := send(t, c, request(t, http.MethodGet, "http://bank.internal", nil).WithContext(ctx)); got.err == nil || members(t, hosts)[0].Failures != 0 {
		t.Errorf("%d, %+v", got.status, members(t, hosts)[0])
	}
	c.CloseIdleConnections()
}

func TestAPoolNamesAllItsFaults(t *testing.T) {
	hosts := newEjector(t, registry(t), outlier.Config{}, "10.0.0.1", "ftp://x", "http://x/y", "http://x", "http://X")
	_, err := nethttp.NewPool(nethttp.PoolConfig{Name: "a/b", Hosts: hosts})
	want := `nethttp: PoolConfig.Name "a/b": is no host
nethttp: PoolConfig.Hosts[0] "10.0.0.1": is not like http://10.0.0.1:8080
nethttp: PoolConfig.Hosts[1] "ftp://x": is not like http://10.0.0.1:8080
nethttp: PoolConfig.Hosts[2] "http://x/y": has more than a scheme and a host
nethttp: PoolConfig.Hosts[4] "http://X": is there twice`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	_, err = nethttp.NewPool(nethttp.PoolConfig{Name: "a"})
	if want := "nethttp: PoolConfig.Hosts nil: is nil"; err == nil || err.Error() != want {
		t.Error(err)
	}
}

func TestHostsOfAPoolMayChange(t *testing.T) {
	guards := registry(t)
	var down [3]atomic.Bool
	urls, sites := three(t, &down)
	hosts := newEjector(t, guards, outlier.Config{}, urls[0], urls[1])
	c := &http.Client{Transport: newPool(t, hosts)}
	change := func(urls ...string) {
		t.Helper()
		if err := hosts.Reconfigure(t.Context(), outlier.Config{Members: outlier.List(urls...)}); err != nil {
			t.Fatal(err)
		}
	}
	for range 4 {
		if got := fetch(t, c, "http://bank.internal"); got.status != 200 {
			t.Errorf("%d, %v", got.status, got.err)
		}
	}
	change(urls[2])
	for range 4 {
		wantBody(t, fetch(t, c, "http://bank.internal"), 200, "2")
	}
	if a, b := sites[0].requests.Load(), sites[1].requests.Load(); a != 2 || b != 2 {
		t.Errorf("%d and %d requests", a, b)
	}

	change("nowhere")
	got := fetch(t, c, "http://bank.internal")
	if e, ok := errors.AsType[*nethttp.MemberError](got.err); !ok || e.Member != "nowhere" {
		t.Errorf("%d, %v", got.status, got.err)
	}
	if h := members(t, hosts)[0]; h.Failures != 1 || h.InFlight != 0 {
		t.Errorf("%+v", h)
	}
	if err := hosts.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	body := &watched{Reader: strings.NewReader("x")}
	if got := send(t, c, request(t, http.MethodPost, "http://bank.internal", body)); !errors.Is(got.err, actors.ErrStopped) || !body.closed.Load() {
		t.Errorf("%d, %v, body closed %v", got.status, got.err, body.closed.Load())
	}
}
