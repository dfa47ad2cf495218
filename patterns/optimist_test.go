package patterns_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

// hopeful is an Optimist that writes down what it is told.
type hopeful struct {
	door
	begins bool
	told   []string
	call   patterns.Call
}

func (h *hopeful) Terms() *patterns.Terms { return &patterns.Terms{Policy: h} }

func (h *hopeful) Around(ctx context.Context, call patterns.Call) error {
	h.told = append(h.told, "around")
	return call.Try(ctx)
}

func (h *hopeful) Begin(context.Context) (time.Time, bool) { return time.Unix(7, 0), h.begins }
func (h *hopeful) Passed()                                 { h.told = append(h.told, "passed") }
func (h *hopeful) Unwound()                                { h.told = append(h.told, "unwound") }

func (h *hopeful) GoOn(ctx context.Context, began time.Time, call patterns.Call, err error) error {
	h.told, h.call = append(h.told, "go on"), call
	if !call.Began() || call.Result() != 1 || !began.Equal(time.Unix(7, 0)) || call.Request().Key != "k" {
		return errors.New("not handed what there was")
	}
	if !errors.Is(err, errTeapot) {
		return errors.New("not handed the error")
	}
	return call.Try(ctx)
}

var errTeapot = errors.New("teapot")

func TestAnOptimist(t *testing.T) {
	for _, tt := range []struct {
		name   string
		begins bool
		errs   []error // of the attempts; the last one again and again; nil: it panics
		want   []string
		result int
		err    error
	}{
		{"is only told of what succeeds at once", true, []error{nil}, []string{"passed"}, 1, nil},
		{"is handed what does not", true, []error{errTeapot, nil}, []string{"go on"}, 2, nil},
		{"decides how that ends", true, []error{errTeapot, errTeapot}, []string{"go on"}, 2, errTeapot},
		{"is told of a panic", true, nil, []string{"unwound"}, 0, nil},
		{"may want the whole call", false, []error{nil}, []string{"around"}, 1, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := &hopeful{begins: tt.begins}
			attempts := 0
			var v int
			var err error
			func() {
				defer func() {
					if r := recover(); (r != nil) != (tt.errs == nil) {
						t.Errorf("recovered %v", r)
					}
				}()
				v, err = patterns.DoFor(t.Context(), h, patterns.Request{Key: "k"}, func(context.Context) (int, error) {
					if tt.errs == nil {
						panic("oh")
					}
					attempts++
					return attempts, tt.errs[attempts-1]
				})
			}()
			if v != tt.result || !errors.Is(err, tt.err) || (err != nil) != (tt.err != nil) {
				t.Errorf("%d, %v", v, err)
			}
			if !slices.Equal(h.told, tt.want) {
				t.Errorf("told %v, want %v", h.told, tt.want)
			}
		})
	}
}
