package ginguard_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/bulwark-go/bulwark/actors/actorstest"
	ginguard "github.com/bulwark-go/bulwark/integrations/gin"
	"github.com/bulwark-go/bulwark/integrations/internal/conformance"
	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns/bulkhead"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
)

// get returns the status and body of an answer.
func get(t *testing.T, address, path string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestMiddlewareOutsideMayStillAnswerWhereHandlersHaveNot(t *testing.T) {
	room, err := bulkhead.Spawn(actorstest.NewRegistry(t), "room", bulkhead.Config{})
	if err != nil {
		t.Fatal(err)
	}
	e := gin.New()
	e.Use(func(c *gin.Context) { // what a program has that answers for c.Error
		c.Next()
		if len(c.Errors) > 0 && !c.Writer.Written() {
			c.String(c.Writer.Status(), "sorry")
		}
	}, ginguard.Guard(room))
	e.GET("/teapot", func(c *gin.Context) {
		c.Status(http.StatusTeapot)
		_ = c.Error(io.EOF)
	})
	address, _ := conformance.ServeHTTP(t, e)
	if status, body := get(t, address, "/teapot"); status != http.StatusTeapot || body != "sorry" {
		t.Errorf("got %d %q", status, body)
	}
	if status, body := get(t, address, "/nowhere"); status != 404 || body != "404 page not found" {
		t.Errorf("got %d %q, want what gin says without a guard", status, body)
	}
}

func TestAKeyMayBeWhatOtherMiddlewareHasFound(t *testing.T) {
	l, err := ratelimiter.Spawn(actorstest.NewRegistry(t), "api", ratelimiter.Config{Rate: ratelimiter.MustParse("1/hour")})
	if err != nil {
		t.Fatal(err)
	}
	e := gin.New()
	e.Use(func(c *gin.Context) { c.Set("user", c.Query("user")) },
		ginguard.RateLimit(l, nethttp.Key(ginguard.By(func(c *gin.Context) string { return c.GetString("user") }), nethttp.ByRoute())))
	e.GET("/things/:id", func(c *gin.Context) { c.String(200, "ok") })
	address, _ := conformance.ServeHTTP(t, e)
	for _, one := range []struct {
		path   string
		status int
	}{{"/things/1?user=ann", 200}, {"/things/2?user=ann", 429}, {"/things/1?user=bob", 200}} {
		if status, body := get(t, address, one.path); status != one.status {
			t.Errorf("%s: got %d %q, want %d", one.path, status, body, one.status)
		}
	}
}
