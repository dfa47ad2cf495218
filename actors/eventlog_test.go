package actors_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
	"github.com/bulwark-go/bulwark/patterns/circuitbreaker"
)

func TestARegistryLogsEventsAtTheirLevelUnlessToldNotTo(t *testing.T) {
	for name, tt := range map[string]struct {
		opts []actors.RegistryOption
		want bool
	}{
		"by default":             {nil, true},
		"with WithoutEventLog()": {[]actors.RegistryOption{actors.WithoutEventLog()}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				opts := append(tt.opts, actors.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
				guards := actorstest.NewRegistry(t, opts...)
				b, err := circuitbreaker.Spawn(guards, "b", circuitbreaker.Config{})
				if err != nil {
					t.Fatal(err)
				}
				if err := b.ForceOpen(t.Context(), 0, "ticket 4711"); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if got := strings.Contains(log.String(), "level=INFO msg=guard event.event=state-changed event.guard=b"); got != tt.want {
					t.Errorf("logged %q", log.String())
				}
			})
		})
	}
}
