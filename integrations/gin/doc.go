// Package ginguard puts guards in front of the handlers of a gin.Engine, with the options, the
// answers and the outcomes of package nethttp, whose middleware this is.
//
//	r := gin.Default()
//	r.Use(ginguard.Guard(edge))
//	r.POST("/pay", ginguard.Guard(bank), pay)
//
// What a handler answers counts, however it does: by c.JSON, by c.AbortWithError, by a
// panic that gin.Recovery answers, whether that is outside or inside of the guard. What
// middleware outside makes of c.Errors afterwards does not: put the guard outside of that.
//
// # What differs
//
// A gin.Context is used again for another request, so a request ends after its handler:
//
//   - A handler is called once. A hedge is refused; a retry asks guards inside again that have
//     refused, and calls no handler twice, nor does it wait to.
//   - A handler that a timeout abandons is waited for. Its client has its answer before, and
//     its connection is closed; no more of its body is read.
//
// Routes, as ExcludeRoutes and ByRoute of nethttp mean them, are those of gin: "/users/:id".
package ginguard
