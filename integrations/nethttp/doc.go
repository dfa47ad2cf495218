// Package nethttp puts guards in front of http.Handlers: so much for each client, so much at
// once, nothing at all as long as a dependency is down.
//
//	mux.Handle("/pay", nethttp.Guard(bank)(payHandler))
//
// The middleware is func(http.Handler) http.Handler, so routers such as chi and gorilla take
// it as it is.
//
// # What a guard learns
//
//	the handler                               the guard counts
//	answered less than 500                    Success
//	answered 500 or more                      Failure
//	answered 503 or 504                       Dropped, which is a failure too, and a limit is cut for
//	panicked                                  Failure, and the panic goes on
//	had a client who left                     Ignored, whatever it did
//	was refused by a guard inside             Ignored
//	waited for the body until a timeout       Ignored: nobody but the client was slow
//
// A guard with a patterns.Judge is told a *StatusError, or a Status, and judges by itself.
// Around policies all failures are Failure.
//
// # What a client gets
//
//	the guard                                 status
//	limits a rate                             429
//	refuses, because of load                  503
//	refuses, because something does not work  503
//	gave up waiting                           503, or what TimeoutStatus says
//	can never grant it: weight, key           400
//	failed otherwise                          500
//
// The first three have a Retry-After that comes of what the guard knows. The body is a problem
// (RFC 9457) whose reason is a Kind, unless Refused says otherwise. No error's text reaches a
// client. What the handler answers itself is passed on as it is.
//
// # How long a permit is held
//
// Until the handler returns, however long it streams. A hijacked connection, such as a
// WebSocket's, holds it until it is closed, even if the handler returns before. The net.Conn
// that Hijack returns is one that tells; NetConn is the one within.
//
// # Policies
//
// A retry, a timeout, a fallback or a hedge decides around a call. So that it has something to
// decide, a response of 500 or more is held back until the policies are done, up to 64 KiB or
// the first flush. Any other response begins at once; then nothing is made again and nothing
// takes its place.
//
// A timeout's deadline is the request's context's. A response that has not begun by then does
// not begin any more: the handler's writes return http.ErrHandlerTimeout, and the client gets
// the timeout's answer once the handler returns, or at once with timeout.Config.Abandon. One
// that has begun goes on. If its handler is abandoned, the connection is cut, so that half a
// response does not look whole.
//
// A handler that waits for the request's body by then waits no longer.
//
// A retry, or a hedge, makes only requests without a body again, and only if their method is
// idempotent or they have an Idempotency-Key. A fallback gives an http.Handler: use
// fallback.Config[http.Handler]. It takes the place of failures and refusals.
//
// # Connections
//
// The http.ResponseWriter of a handler can do what the server's can: Flush, Hijack, Push,
// ReadFrom, and all of http.ResponseController.
//
// # Clients
//
// Transport puts guards around the requests of an http.Client, in the same way: PerHost gives
// each host a guard of its own, and a Pool spreads requests over several hosts. docs/httpclient.md
// has all of it.
package nethttp
