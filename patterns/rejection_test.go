package patterns_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/patterns"
)

type refusal struct{ after time.Duration }

func (r *refusal) Error() string             { return "full" }
func (r *refusal) Is(target error) bool      { return target == patterns.ErrRejected }
func (r *refusal) RetryAfter() time.Duration { return r.after }

func TestARejectionIsReplacedAndObserved(t *testing.T) {
	full, mine := &refusal{time.Second}, errors.New("come back later")
	for _, tt := range []struct {
		name    string
		replace func(error) error
		reads   string
		is      []error
	}{
		{"by nothing", nil, "full", nil},
		{"by an error of the user's", func(error) error { return mine }, "come back later", []error{mine}},
		{"by one that wraps it", func(err error) error { return fmt.Errorf("bank: %w", err) }, "bank: full", nil},
		{"by nil, which means no change", func(error) error { return nil }, "full", nil},
		{"by a panic, which means no change", func(error) error { panic("ouch") }, "full", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var seen error
			terms := &patterns.Terms{Rejection: &patterns.Rejection{Replace: tt.replace, Observe: func(err error) { seen = err; panic("ouch") }}}
			err := terms.Rejected(full)
			if err.Error() != tt.reads || !errors.Is(err, patterns.ErrRejected) || !errors.Is(err, full) || seen == nil || seen.Error() != tt.reads {
				t.Errorf("got %v, seen %v", err, seen)
			}
			for _, want := range tt.is {
				if !errors.Is(err, want) {
					t.Errorf("%v is not %v", err, want)
				}
			}
			if after, ok := patterns.RetryAfter(err); !ok || after != time.Second {
				t.Errorf("retry after %v, %v", after, ok)
			}
		})
	}
}

func TestWhatIsNoRejectionStaysAsItIs(t *testing.T) {
	terms := &patterns.Terms{Rejection: &patterns.Rejection{
		Replace: func(error) error { t.Error("replaced"); return nil }, Observe: func(error) { t.Error("observed") },
	}}
	full := &refusal{}
	for _, err := range []error{
		terms.Rejected(errBank), (*patterns.Terms)(nil).Rejected(full), (&patterns.Terms{}).Rejected(full), terms.Rejected(nil),
		(&patterns.Terms{Rejection: &patterns.Rejection{}}).Rejected(full),
	} {
		if err != nil && !errors.Is(err, errBank) && !errors.Is(err, full) {
			t.Error(err)
		}
	}
}
