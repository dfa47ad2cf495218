// Package fiberguard puts guards in front of the handlers of a fiber.App, with the answers and
// the outcomes of package nethttp.
//
//	app := fiber.New()
//	app.Use(recoverer.New(), fiberguard.Guard(edge))
//	app.Post("/pay", fiberguard.Guard(bank), pay)
//
// An error that a handler returns is what fiber.Config.ErrorHandler makes of it: fiber.ErrNotFound
// is no failure, and a plain error is a 500. The handler is asked behind the guard; middleware
// outside sees the answer, and no error.
//
// A permit is held until the response has been sent, however long it streams, and that of a
// hijacked connection until its handler has returned.
//
// # What differs
//
// Fiber is not built on net/http, but on fasthttp:
//
//   - Nobody notices that a client has left before its answer is written. What its handler did
//     counts, and a queue is not left.
//   - A response begins when its handler has returned, so a timeout is always told, and a
//     stream that it comes too late for does not begin.
//   - A handler is called once. A hedge is refused; a retry asks guards inside again that have
//     refused, and calls no handler twice, nor does it wait to.
//   - A handler that a timeout abandons is waited for, and its client too.
//   - Who answers with fasthttp's TimeoutError, as fiber's own timeout does, gives the handler
//     up: the permit is back at once, and it counts as Dropped. That timeout belongs inside of
//     the guard; outside it writes into a response that others are at work on.
//   - Middleware of App.Use knows no route yet; that of a route does.
//
// Keys are copied: what fiber hands out is used again for another request.
package fiberguard
