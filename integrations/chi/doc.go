// Package chi shows that the middleware of package nethttp is all that github.com/go-chi/chi
// needs. There is nothing in it to import.
//
//	r := chi.NewRouter()
//	r.Use(middleware.Recoverer, nethttp.Guard(edge))
//	r.With(nethttp.Guard(bank)).Post("/pay", pay)
package chi
