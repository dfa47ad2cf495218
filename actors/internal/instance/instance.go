// Package instance tells whether an actor has been restarted meanwhile.
package instance

import (
	"reflect"

	"github.com/asynkron/protoactor-go/actor"
)

// Same reports whether a and b are one instance. They may be of a type that == panics on;
// of an actor that is a mere function, all instances are the same.
func Same(a, b actor.Actor) bool {
	if reflect.TypeOf(a) != reflect.TypeOf(b) {
		return false
	}
	return !reflect.ValueOf(a).Comparable() || a == b
}
