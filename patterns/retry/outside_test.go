package retry

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bulwark-go/bulwark/actors"
	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/pipeline"
)

// witness is a guard that keeps what it is told.
type witness struct{ told []string }

func (*witness) Name() string           { return "witness" }
func (*witness) Terms() *patterns.Terms { return nil }

func (w *witness) Acquire(ctx context.Context) (patterns.Permit, error) {
	return w.AcquireFor(ctx, patterns.Request{})
}

func (w *witness) AcquireFor(context.Context, patterns.Request) (patterns.Permit, error) {
	return patterns.NewPermit(w, 1, 0), nil
}

func (w *witness) Settle(_ uint64, _ patterns.Instant, o patterns.Outcome) bool {
	w.told = append(w.told, o.String())
	return true
}

func (w *witness) Release(uint64) { w.told = append(w.told, "released") }

func TestAGuardOutsideLearnsOnceWhatBecameOfTheCall(t *testing.T) {
	refusal := &actors.Refusal{Name: "inner", Reason: actors.ErrOverloaded}
	for _, tt := range []struct {
		name    string
		refuses []error // by attempt
		ends    []any
		leaves  time.Duration
		outside string
		inside  []string
	}{
		{"success at last", nil, []any{errDown}, 0, "success", []string{"failure", "success"}},
		{"failure to the end", nil, []any{errDown, errDown, errDown}, 0, "failure", []string{"failure", "failure", "failure"}},
		{"refused at once", []error{refusal}, nil, 0, "released", []string{"released"}},
		{"refused after a failure", []error{nil, refusal}, []any{errDown}, 0, "failure", []string{"failure", "released"}},
		{"the caller leaves during a wait", nil, []any{errDown}, ms, "ignored", []string{"failure"}},
		{"a panic", nil, []any{errDown, func() { panic("no") }}, 0, "failure", []string{"failure", "failure"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tt.leaves > 0 {
					time.AfterFunc(tt.leaves, cancel)
				}
				n := 0
				outside, inside := new(witness), new(witness)
				p, err := pipeline.New("", outside, bank(t, every(sec, 3)), inside, &fence{func() (err error) {
					if n < len(tt.refuses) {
						err = tt.refuses[n]
					}
					n++
					return err
				}})
				if err != nil {
					t.Fatal(err)
				}
				unwinds(func() { _, _ = patterns.Do(ctx, p, endings(tt.ends...).run) })
				if !slices.Equal(outside.told, []string{tt.outside}) || !slices.Equal(inside.told, tt.inside) {
					t.Errorf("outside %v, want %s; inside %v, want %v", outside.told, tt.outside, inside.told, tt.inside)
				}
			})
		})
	}
}
