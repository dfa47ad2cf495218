package actors_test

import (
	"context"
	"errors"
	"io/fs"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/actors/actorstest"
)

func TestAReplyThatIsAnErrorIsReturnedAsOne(t *testing.T) {
	system := actorstest.NewRegistry(t).System()
	failed := &fs.PathError{Op: "charge", Path: "card", Err: errors.New("refused")}
	bank := system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		switch m := c.Message().(type) {
		case string:
			c.Respond(m)
		case int:
			c.Respond(failed)
		}
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()

	if reply, err := actors.Ask[any](ctx, system, bank, 1); reply != nil || err != error(failed) { //nolint:errorlint // as it is
		t.Errorf("asked for any, it is %v, %v", reply, err)
	}
	if reply, err := actors.Ask[string](ctx, system, bank, 1); reply != "" || err != error(failed) { //nolint:errorlint // as it is
		t.Errorf("asked for a string, it is %v, %v", reply, err)
	}
	if reply, err := actors.Ask[*fs.PathError](ctx, system, bank, 1); reply != failed || err != nil {
		t.Errorf("asked for such an error, it is %v, %v", reply, err)
	}
	if reply, err := actors.Ask[error](ctx, system, bank, 1); reply != error(failed) || err != nil { //nolint:errorlint // as it is
		t.Errorf("asked for an error, it is %v, %v", reply, err)
	}
	if reply, err := actors.Ask[any](ctx, system, bank, "paid"); reply != any("paid") || err != nil {
		t.Errorf("asked for any, it is %v, %v", reply, err)
	}
	if _, err := actors.Ask[int](ctx, system, bank, "paid"); !errors.Is(err, actors.ErrReply) {
		t.Errorf("asked for a number, it is %v", err)
	}
	if _, err := actors.Ask[any](ctx, system, system.NewLocalPID("nobody"), "paid"); !errors.Is(err, actors.ErrUnavailable) {
		t.Errorf("nobody answers %v", err)
	}
}
