package echoguard_test

import (
	"net/http"

	"github.com/labstack/echo/v5"
	"github.com/labstack/echo/v5/middleware"

	echoguard "github.com/bulwark-go/bulwark/integrations/echo"
	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns"
)

// What the docs show is compiled.
var _ = server

func server(bank, edge patterns.Guard, pay echo.HandlerFunc) http.Handler {
	// region: echo
	e := echo.New()
	e.Use(middleware.Recover(), echoguard.Guard(edge)) // but for /health, /healthz, /ready and /metrics
	e.POST("/pay", pay, echoguard.Guard(bank, nethttp.Refused(echoguard.Handler(func(c *echo.Context) error {
		return c.JSON(http.StatusServiceUnavailable, map[string]any{"sorry": true})
	}))))
	return e
	// endregion
}
