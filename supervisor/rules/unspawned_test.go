package rules

import (
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/supervisor/backoff"
)

// A child that could not be spawned anew is not there, so nothing that came before can
// excuse that it failed, and it cannot be resumed: it is tried again.
func TestAChildThatCouldNotBeSpawnedAnewIsTriedAgain(t *testing.T) {
	for _, verdict := range []Directive{Restart, Resume} {
		for _, scope := range []Scope{One, All, Rest} {
			m := New(Params{Config: Config{Scope: scope, Backoff: backoff.Config{Base: time.Second}}})
			m.Add(0, 1, Permanent)
			m.Add(0, 2, Permanent)
			spawns := func() (n int) {
				for es := m.Effects(); len(es) > 0; es = m.Effects() {
					for _, e := range es {
						if e.Do == DoSpawn && e.Child == 2 {
							n++
						}
					}
				}
				return n
			}
			m.Failed(0, Failure{Child: 1, Verdict: Restart}) // takes the second along, but for One
			m.Gone(0, 2, 0)                                  // which stops by itself meanwhile
			spawns()
			m.Tick(m.Wake())
			if n := spawns(); n != 1 {
				t.Fatalf("%v: spawned %d times", scope, n)
			}
			m.Failed(m.hi, Failure{Child: 2, Verdict: verdict, Unspawned: true}) // before anything has settled
			spawns()
			if s, _ := m.Status(2); s.State == Running {
				t.Errorf("%v, %v: it runs, though there is no such actor", verdict, scope)
			}
			for range 3 {
				m.Tick(m.Wake())
			}
			if n := spawns(); n != 1 {
				t.Errorf("%v, %v: spawned %d times, want once more", verdict, scope, n)
			}
		}
	}
}
