package chi_test

import (
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns"
)

// What the docs show is compiled.
var _ = server

func server(bank, edge patterns.Guard, pay http.HandlerFunc) http.Handler {
	// region: chi
	r := chi.NewRouter()
	r.Use(middleware.Recoverer, nethttp.Guard(edge)) // but for /health, /healthz, /ready and /metrics
	r.With(nethttp.Guard(bank)).Post("/pay", pay)
	return r
	// endregion
}
