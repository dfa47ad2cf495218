package ginguard_test

import (
	"net/http"

	"github.com/gin-gonic/gin"

	ginguard "github.com/bulwark-go/bulwark/integrations/gin"
	"github.com/bulwark-go/bulwark/integrations/nethttp"
	"github.com/bulwark-go/bulwark/patterns"
)

// What the docs show is compiled.
var _ = server

func server(bank, edge patterns.Guard, pay gin.HandlerFunc) http.Handler {
	// region: gin
	r := gin.Default()
	r.Use(ginguard.Guard(edge)) // but for /health, /healthz, /ready and /metrics
	r.POST("/pay", ginguard.Guard(bank, nethttp.Refused(ginguard.Handler(func(c *gin.Context) {
		c.JSON(http.StatusServiceUnavailable, gin.H{"sorry": true})
	}))), pay)
	return r
	// endregion
}
