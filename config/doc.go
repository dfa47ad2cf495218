// Package config reads guards and pipelines from one file, in YAML or JSON, and changes
// them while they run when the file changes.
//
//	guards:
//	  payments: { circuitbreaker: { failure_ratio: 0.5, window: 100, open_for: 30s } }
//	  api:      { ratelimiter: { rate: 100/minute, burst: 20 } }
//	pipelines:
//	  bank: [ api, payments ]
//
// A guard has a name, a pattern, and the pattern's Config: each key is a field of it, in
// snake_case. What the file leaves out has its default. A pipeline is a list of guards and
// pipelines, outermost first.
//
// # Strict
//
// A file is read whole or not at all. A key that is unknown or there twice, a value of the
// wrong type or out of range, a pipeline of what is not there: each is a [Fault], with file,
// line and column, and all of them are returned at once.
//
// # Alive
//
// [File.Spawn] starts what the file declares, and returns a [Set] that finds it by name.
// [Set.Reload], by hand or by [Watch], makes it as another File says: guards that changed
// are reconfigured and keep their state, new ones are spawned, and pipelines are swapped. It
// does so wholly or not at all.
package config
