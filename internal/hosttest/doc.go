// Package hosttest proves that the actor system Bulwark is hosted by works with
// the dependencies that go.mod chooses: proto.actor asks for versions of gRPC,
// protobuf and OpenTelemetry from 2023, and go.mod lifts them to current ones. The
// package has tests only.
package hosttest
