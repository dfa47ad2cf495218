// Package echoguard puts guards in front of the handlers of an echo.Echo, with the options, the
// answers and the outcomes of package nethttp, whose middleware this is.
//
//	e := echo.New()
//	e.Use(middleware.Recover(), echoguard.Guard(edge))
//	e.POST("/pay", pay, echoguard.Guard(bank))
//
// An error that a handler returns is what echo.Echo.HTTPErrorHandler makes of it: a
// NewHTTPError(404) is no failure, and a plain error is a 500. The handler is asked behind the
// guard; the error is then returned nevertheless, so that middleware outside sees it, as that of
// echo's own RequestLogger is. So an HTTPErrorHandler has to look at Response.Committed, as
// echo's does.
//
// # What differs
//
// An echo.Context is used again for another request, so a request ends after its handler:
//
//   - A handler is called once. A retry or a hedge makes no second call.
//   - A handler that a timeout abandons is waited for. Its client has its answer before, and
//     its connection is closed.
//
// Routes, as ExcludeRoutes and ByRoute of nethttp mean them, are those of echo: "/users/:id".
// There are none yet in Echo.Pre.
package echoguard
