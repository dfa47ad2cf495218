package snippets

import (
	"net/http"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/fallback"
	"github.com/bulwark-go/bulwark/patterns/loadshedder"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
	"github.com/bulwark-go/bulwark/patterns/timeout"
)

func httpServer(guards *actors.Registry, payHandler, shop http.Handler) (http.Handler, error) {
	// region: http-server
	bank, err := circuitbreaker.Spawn(guards, "bank", circuitbreaker.Config{})
	if err != nil {
		return nil, err
	}
	edge, err := loadshedder.Spawn(guards, "edge", loadshedder.Config{MaxInFlight: 1000})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/pay", nethttp.Guard(bank)(payHandler)) // 503 with Retry-After while the bank is down
	mux.Handle("/", shop)
	return nethttp.Guard(edge)(mux), nil // but for /health, /healthz, /ready and /metrics
	// endregion
}

func httpLimit(guards *actors.Registry, api http.Handler) (http.Handler, error) {
	// region: http-ratelimit
	limiter, err := ratelimiter.Spawn(guards, "api", ratelimiter.Config{Rate: ratelimiter.MustParse("100/minute burst 20")})
	if err != nil {
		return nil, err
	}
	limit, err := nethttp.NewRateLimit(
		limiter, // a client is an address, and an IPv6 client its /64
		nethttp.TrustProxies(nethttp.Proxies{Trusted: []string{"10.0.0.0/8"}, Header: nethttp.ForwardedFor}),
	)
	if err != nil {
		return nil, err // names every bad option
	}
	return limit(api), nil
	// endregion
}

func httpKey(limiter *ratelimiter.Limiter, api http.Handler) http.Handler {
	type subject struct{} // under which the middleware that checks tokens keeps whose they are
	// region: http-key
	return nethttp.RateLimit(limiter, nethttp.Key(nethttp.ByValue(subject{}), nethttp.ByRoute()))(api)
	// endregion
}

func httpPriority(edge *loadshedder.Shedder, api http.Handler) http.Handler {
	// region: http-priority
	return nethttp.Guard(edge, nethttp.Priority(nethttp.Priorities{
		Header: nethttp.DefaultPriorityHeader, // X-Priority: background, low, normal, high or critical
		Most:   patterns.Normal,               // what anybody may claim
		Caps:   []nethttp.Cap{{From: []string{"10.20.0.0/16"}, Most: patterns.Critical}},
	}), nethttp.TrustProxies(nethttp.Proxies{Trusted: []string{"10.0.0.1"}}))(api)
	// endregion
}

func httpPipeline(guards *actors.Registry, bank *circuitbreaker.Breaker, rates, cached http.Handler) (http.Handler, error) {
	// region: http-pipeline
	soon, err := timeout.Spawn(guards, "rates-timeout", timeout.Config{PerAttempt: 2 * time.Second})
	if err != nil {
		return nil, err
	}
	instead, err := fallback.Spawn(guards, "rates-cache", fallback.Config[http.Handler]{
		Steps: fallback.Chain(fallback.Value(cached)), // a handler, which answers in the other's place
	})
	if err != nil {
		return nil, err
	}
	line, err := pipeline.New("rates", instead, bank, soon)
	if err != nil {
		return nil, err
	}
	return nethttp.Guard(line, nethttp.TimeoutStatus(http.StatusGatewayTimeout))(rates), nil
	// endregion
}

func httpRefused(bank *circuitbreaker.Breaker, payHandler http.Handler) http.Handler {
	// region: http-refused
	sorry := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		why, _ := nethttp.RefusalOf(r.Context())
		w.WriteHeader(why.Status) // Retry-After is among the headers already
		_, _ = w.Write([]byte("sorry: " + why.Kind.String()))
	})
	return nethttp.Guard(bank, nethttp.Refused(sorry))(payHandler)
	// endregion
}
