// Package grpcguard puts guards in front of gRPC servers and clients: so much for each client,
// so much at once, nothing at all as long as a dependency is down.
//
//	grpc.NewServer(grpcguard.UnaryServer(shedder), grpcguard.StreamServer(shedder))
//	grpc.NewClient(target, grpcguard.UnaryClient(bank), grpcguard.StreamClient(rooms))
//
// # What a guard learns
//
//	the call ended with                           the guard counts
//	OK                                            Success
//	InvalidArgument, NotFound, AlreadyExists,     Success: the caller was wrong, and the answer
//	PermissionDenied, Unauthenticated,            was right
//	FailedPrecondition, OutOfRange, Aborted
//	Unknown, Internal, DataLoss                   Failure
//	Unavailable, ResourceExhausted,               Dropped, which is a failure too, and a limit is
//	DeadlineExceeded                              cut for
//	Canceled, Unimplemented                       Ignored: it says nothing of whoever was called
//	a panic                                       Failure, and the panic goes on: see Recover
//	the refusal of a guard inside                 Ignored
//
// On a server all that a handler does whose client has left is Ignored. Aborted is a Success
// because it asks for more than the call to be made again: what was read before it, say.
// Outcomes changes the table. A guard with a patterns.Judge is told the errors that the table
// calls a failure, and an *Answer for those that it calls a success, and judges by itself.
// Around policies all failures are Failure.
//
// # What a client gets
//
//	the guard                                     code                reason
//	limits a rate                                 ResourceExhausted   RATE_LIMITED
//	refuses, because of load                      Unavailable         OVERLOADED
//	refuses, because something does not work      Unavailable         UNAVAILABLE
//	gave up waiting; the deadline is too near     DeadlineExceeded    TIMEOUT
//	can never grant it: weight, key               InvalidArgument     INVALID
//	failed otherwise                              Internal            FAILED
//
// The reason is in an ErrorInfo. The first three have a RetryInfo, whose delay is the guard's,
// or a second if it does not know; if it does, the trailer grpc-retry-pushback-ms says so too,
// which gRPC's own retries obey. No error's text reaches a client. What a handler returns is
// passed on as it is, unless it is the refusal of a guard that the handler has asked: that is
// Unavailable.
//
// Where the client's own guard refuses, the call returns an *Error, which has those codes, and
// in which errors.Is and As find what the guard said.
//
// # How long a permit is held
//
// On a server until the handler returns, however long it streams. On a client until the call
// or stream has ended: all was received, an error was, its context or connection has ended. A
// client that neither receives to the end nor ends the context keeps its permit, as it keeps
// what gRPC has for the stream. A guard's own timeout per call is not for streams.
//
// # Policies
//
// A retry, a timeout, a fallback or a hedge works around unary calls, on both sides. Streams
// and Taps are for guards that grant permits; others are a *PolicyError.
//
// Only idempotent methods are made again after an attempt that may have done something: those
// whose .proto says so, and those named by Idempotent. When to try again says the server, by a
// RetryInfo or grpc-retry-pushback-ms; if that is negative, never. gRPC's own retries, of a
// service config, happen inside of all this, and are not seen. WaitForReady is left as it is.
//
// Each attempt has a response of its own, and the one that counts is copied into the caller's;
// headers, trailers and the peer are those of that attempt. A fallback gives a response of the
// method's type: use fallback.Config[any].
//
// # Before decoding
//
// A Tap refuses calls as soon as their headers are there: see Tap.
package grpcguard
