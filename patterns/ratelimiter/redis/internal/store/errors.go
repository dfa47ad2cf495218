package store

import (
	"fmt"
	"strconv"
)

// LawError says why a law cannot be kept exactly. It is a mistake of the configuration.
type LawError struct {
	Tier    int // index
	Problem string
}

func (e *LawError) Error() string {
	return fmt.Sprintf("redis limiter: tier %d: %s", e.Tier, e.Problem)
}

// ArgumentError says why a check was not asked at all.
type ArgumentError struct{ Problem string }

func (e *ArgumentError) Error() string { return "redis limiter: " + e.Problem }

// KeyError says that what is stored under a key is not ours. The check changed nothing,
// and other checks of the same call are not concerned.
type KeyError struct {
	Key     string // as Redis knows it
	Problem string
}

func (e *KeyError) Error() string {
	return "redis limiter: key " + strconv.Quote(e.Key) + ": " + e.Problem
}

// Class is why a server did not decide.
type Class uint8

const (
	Unknown        Class = iota // anything else
	Unreachable                 // no connection could be made
	Busy                        // no connection of the pool became free in time
	TimedOut                    // sent, and not answered in time
	Broken                      // sent, and the connection ended
	Cancelled                   // the caller's context ended
	NoScript                    // the script was not there, even after loading it
	ReadOnly                    // the server is a replica
	Moved                       // MOVED or ASK, more often than is followed
	TryAgain                    // the slot is on its way to another server
	Loading                     // the server is reading its data set
	OutOfMemory                 // the server is full and may not evict
	ScriptBusy                  // another script runs too long
	NoAuth                      // NOAUTH, WRONGPASS
	NoPermission                // NOPERM
	ClusterDown                 // the slot has no server
	MasterDown                  // a replica that has lost its master
	Misconfigured               // the server takes no writes, or none of several slots: MISCONF, NOREPLICAS, CROSSSLOT
	TooManyClients              // max number of clients reached
	Protocol                    // the answer is none that the script gives
	Untrusted                   // the server's certificate is none that the client accepts
)

// Fault says that a server did not decide a check.
type Fault struct {
	Class Class
	Err   error // of the client
}

func (e *Fault) Error() string { return "redis limiter: " + e.Class.String() + ": " + e.Err.Error() }

func (e *Fault) Unwrap() error { return e.Err }
