// Package echo4guard puts guards in front of the handlers of an echo.Echo of v4, with the
// options, the answers and the outcomes of package nethttp, whose middleware this is. Echo v4
// gets only fixes; for v5 there is package echoguard.
//
//	e := echo.New()
//	e.Use(middleware.Recover(), echo4guard.Guard(edge))
//	e.POST("/pay", pay, echo4guard.Guard(bank))
//
// An error that a handler returns is what echo.Echo.HTTPErrorHandler makes of it: a
// NewHTTPError(404) is no failure, and a plain error is a 500. The handler is asked behind the
// guard; the error is then returned nevertheless, so that middleware outside sees it, as that of
// echo's own RequestLogger is. So an HTTPErrorHandler has to look at Response.Committed, as
// echo's does. And middleware that makes another error of one, as ContextTimeout does, belongs
// inside of the guard: outside it comes too late.
//
// # What differs
//
// An echo.Context is used again for another request, so a request ends after its handler:
//
//   - A handler is called once. A hedge is refused; a retry asks guards inside again that have
//     refused, and calls no handler twice, nor does it wait to.
//   - A handler that a timeout abandons is waited for. Its client has its answer before, and
//     its connection is closed; no more of its body is read.
//
// Routes, as ExcludeRoutes and ByRoute of nethttp mean them, are those of echo: "/users/:id".
// There are none yet in Echo.Pre.
package echo4guard
