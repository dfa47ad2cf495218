package echoguard_test

import (
	"net/http"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

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
	e.POST("/pay", pay, echoguard.Guard(bank, nethttp.Refused(echoguard.Handler(func(c echo.Context) error {
		return c.JSON(http.StatusServiceUnavailable, echo.Map{"sorry": true})
	}))))
	return e
	// endregion
}
