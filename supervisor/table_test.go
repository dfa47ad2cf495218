package supervisor

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"testing"
)

func TestTableDecidesByTheFirstRuleThatFits(t *testing.T) {
	table := Table(
		Is(io.EOF, Stop),
		As[*fs.PathError](Resume),
		As[runtime.Error](Escalate),
		Type[string](Stop),
		Type[fmt.Stringer](Resume),
		When(func(reason any) bool { return reason == 7 }, Escalate),
	)
	nilMap := func() (reason any) {
		defer func() { reason = recover() }()
		return make([]int, 0, 1)[:0:0][one()]
	}
	for _, tt := range []struct {
		name   string
		reason any
		want   Directive
	}{
		{"the error itself", io.EOF, Stop},
		{"wrapped", fmt.Errorf("x: %w", io.EOF), Stop},
		{"joined", errors.Join(errors.New("x"), io.EOF), Stop},
		{"by its type", &fs.PathError{Err: errors.New("x")}, Resume},
		{"by its type, wrapped", fmt.Errorf("x: %w", &fs.PathError{Err: errors.New("x")}), Resume},
		{"the first rule that fits", fmt.Errorf("x: %w", &fs.PathError{Err: io.EOF}), Stop},
		{"a mistake of the programmer's", nilMap(), Escalate},
		{"a string", "ouch", Stop},
		{"what implements an interface", Restart, Resume},
		{"what a function likes", 7, Escalate},
		{"nothing that fits", 8, Restart},
		{"another error", errors.New("x"), Restart},
		{"nil", nil, Restart},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := table(tt.reason); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
	if Table(Otherwise(Stop))(nil) != Stop || Table()(nil) != Restart {
		t.Error("otherwise")
	}
}

func TestATableIsWhatDecideTakes(t *testing.T) {
	bubbles(t, func(k *kit) {
		k.family(must(k.t, Config{}, Decide(Table(Is(io.EOF, Stop), Type[string](Resume)))))
		k.send("boss/a", fail{"ouch"})
		k.noted("")
		k.send("boss/a", fail{fmt.Errorf("read: %w", io.EOF)})
		k.noted("a stopped")
	})
}

// one is what the compiler does not know.
func one() int { return len("1") }
