package fiberguard_test

import (
	"github.com/gofiber/fiber/v3"
	recoverer "github.com/gofiber/fiber/v3/middleware/recover"

	fiberguard "github.com/bulwark-go/bulwark/integrations/fiber"
	"github.com/bulwark-go/bulwark/patterns"
)

// What the docs show is compiled.
var _ = server

func server(bank, edge patterns.Guard, pay fiber.Handler) *fiber.App {
	// region: fiber
	app := fiber.New()
	app.Use(recoverer.New(), fiberguard.Guard(edge)) // but for /health, /healthz, /ready and /metrics
	app.Post("/pay", fiberguard.Guard(bank, fiberguard.Refused(func(c fiber.Ctx) error {
		return c.Status(fiber.StatusServiceUnavailable).JSON(fiber.Map{"sorry": true})
	})), pay)
	return app
	// endregion
}
