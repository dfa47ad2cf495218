package fiberguard

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"

	"github.com/bulwark-go/bulwark/integrations/internal/clientip"
	"github.com/bulwark-go/bulwark/integrations/internal/keys"
	"github.com/bulwark-go/bulwark/integrations/internal/precedence"
	"github.com/bulwark-go/bulwark/patterns"
)

// KeyFunc says whose request it is: the tenant, user or route that a guard counts it for. ""
// is nobody's in particular: all such requests count together. What it returns is copied.
//
// What anybody can send, such as a header, anybody can make up. A key that is worth something
// to have (the claim of a token) comes from a middleware that has checked it: see ByLocal.
type KeyFunc func(c fiber.Ctx) string

// ByHeader is the value of a header. One that is there several times counts as the first.
func ByHeader(name string) KeyFunc { return func(c fiber.Ctx) string { return c.Get(name) } }

// ByCookie is the value of a cookie.
func ByCookie(name string) KeyFunc { return func(c fiber.Ctx) string { return c.Cookies(name) } }

// ByRoute is the route that the request matched. There is none yet in middleware of App.Use.
func ByRoute() KeyFunc { return route }

// ByLocal is the string that the request's locals have for key: the subject of a token, say,
// which the middleware that checked the token has put there.
func ByLocal(key any) KeyFunc {
	return func(c fiber.Ctx) string {
		s, _ := c.Locals(key).(string)
		return s
	}
}

func route(c fiber.Ctx) string {
	if !c.Matched() {
		return ""
	}
	return c.Route().Path
}

// excludes reports whether nobody is asked about c.
func (e *entrance) excludes(c fiber.Ctx) bool {
	raw := ""
	if original := c.Request().URI().PathOriginal(); bytes.IndexByte(original, '%') >= 0 {
		raw = string(original)
	}
	return e.excluded.Has(c.Path(), raw) || len(e.routes) > 0 && slices.Contains(e.routes, route(c))
}

// ask fills in what a guard is asked for.
func (e *entrance) ask(c fiber.Ctx, q *patterns.Request) {
	if len(e.keys) > 0 {
		q.Key = e.key(c)
	}
	if e.weight != nil {
		q.Weight = e.weight(c)
	}
	name := e.rules.Header()
	if name == "" {
		q.Priority, _ = precedence.From(c.Context())
		return
	}
	q.Priority = e.rules.Of(c.Get(name), e.client(c))
	c.SetContext(precedence.With(c.Context(), q.Priority))
}

func (e *entrance) key(c fiber.Ctx) string {
	if len(e.keys) == 1 {
		return keys.Bound(strings.Clone(e.part(0, c)))
	}
	parts := make([]string, len(e.keys))
	for i := range e.keys {
		parts[i] = strings.Clone(e.part(i, c))
	}
	return keys.Bound(keys.Join(parts...))
}

func (e *entrance) part(i int, c fiber.Ctx) string {
	if by := e.keys[i]; by != nil {
		return by(c)
	}
	return clientip.Key(e.client(c))
}

func (e *entrance) client(c fiber.Ctx) netip.Addr {
	return e.clients.Of(c.RequestCtx().RemoteAddr().String(), source{&c.Request().Header})
}

// source is where a request's headers are.
type source struct{ header *fasthttp.RequestHeader }

// Values implements clientip.Source.
func (s source) Values(name string) []string {
	var values []string
	for _, v := range s.header.PeekAll(name) {
		values = append(values, string(v))
	}
	return values
}
