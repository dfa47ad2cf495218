package actors

import (
	"fmt"
	"reflect"

	"github.com/bulwark-go/bulwark/actors/internal/inject"
)

// crashPlan is when the test kit wants the shell to panic.
type crashPlan struct {
	at        reflect.Type
	afterward bool
	left      int
}

func newCrashPlan(c inject.Crash) *crashPlan {
	return &crashPlan{at: reflect.TypeOf(c.At), afterward: c.After, left: max(1, c.Times)}
}

func (p *crashPlan) before(msg any) { p.crash(msg, false) }
func (p *crashPlan) after(msg any)  { p.crash(msg, true) }

func (p *crashPlan) crash(msg any, afterward bool) {
	if p.left > 0 && p.afterward == afterward && p.at == reflect.TypeOf(msg) {
		p.left--
		panic(fmt.Sprintf("injected crash at %v", p.at))
	}
}
