package snippets

import (
	"net/http"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
	"github.com/bulwark-go/bulwark/patterns/fallback"
	"github.com/bulwark-go/bulwark/patterns/outlier"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
	"github.com/bulwark-go/bulwark/patterns/retry"
	"github.com/bulwark-go/bulwark/patterns/timeout"
)

func httpClient(guards *actors.Registry) (*http.Client, error) {
	// region: http-client
	again, err := retry.Spawn(guards, "bank", retry.Config{Attempts: 3})
	if err != nil {
		return nil, err
	}
	soon, err := timeout.Spawn(guards, "bank-timeout", timeout.Config{PerAttempt: 2 * time.Second})
	if err != nil {
		return nil, err
	}
	perHost := nethttp.PerHost(func(host string) (patterns.Guard, error) {
		b, err := circuitbreaker.Spawn(guards, "bank/"+host, circuitbreaker.Config{})
		if err != nil {
			return nil, err
		}
		return pipeline.New("bank-pipeline", again, b, soon)
	})
	return &http.Client{Transport: nethttp.Transport(nil, perHost), Timeout: 10 * time.Second}, nil
	// endregion
}

func httpPool(guards *actors.Registry, bank patterns.Guard) (*http.Client, error) {
	// region: http-pool
	hosts, err := outlier.Spawn(guards, "bank-hosts", outlier.Config{
		Members:     outlier.List("http://10.0.0.1:8080", "http://10.0.0.2:8080", "http://10.0.0.3:8080"),
		Consecutive: 5, // failures in a row: no requests for 30 s, and 30 s more each time
	})
	if err != nil {
		return nil, err // names every bad field
	}
	pool, err := nethttp.NewPool(nethttp.PoolConfig{Name: "bank.internal", Hosts: hosts})
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: nethttp.Transport(pool, bank)}, nil // of http://bank.internal/pay
	// endregion
}

func httpCanned(guards *actors.Registry, rates *circuitbreaker.Breaker, rooms *bulkhead.Bulkhead) (patterns.Guard, error) {
	// region: http-canned
	instead, err := fallback.Spawn(guards, "rates-default", fallback.Config[*http.Response]{
		Steps: fallback.Chain(nethttp.Canned(203, http.Header{"Content-Type": {"application/json"}}, []byte(`{"EUR": 1.1}`))),
	})
	if err != nil {
		return nil, err
	}
	return pipeline.New("rates", instead, rooms, rates)
	// endregion
}

func httpSend(bank patterns.Guard) http.RoundTripper {
	// region: http-send
	return nethttp.Transport(nil, bank,
		nethttp.SendPriority(nethttp.DefaultPriorityHeader, "*.internal"), // and to nobody else
		nethttp.BufferBody(64<<10),                                        // of bodies without GetBody
		nethttp.CountBy(nethttp.ByHost()),
	)
	// endregion
}
