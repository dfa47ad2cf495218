package store

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

var classNames = [...]string{
	Unknown: "unknown fault", Unreachable: "unreachable", Busy: "no connection is free", TimedOut: "timed out",
	Broken: "connection broke", Cancelled: "cancelled", NoScript: "script not kept", ReadOnly: "read only", Moved: "slot moved",
	TryAgain: "slot moving", Loading: "loading", OutOfMemory: "out of memory", ScriptBusy: "busy with another script",
	NoAuth: "not authenticated", NoPermission: "no permission", ClusterDown: "cluster down", MasterDown: "master down",
	Misconfigured: "misconfigured", TooManyClients: "too many clients", Protocol: "no proper answer",
	Untrusted: "not trusted",
}

// String names the class.
func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return "class " + strconv.Itoa(int(c))
}

// NotRun reports whether it is certain that nothing was decided, so that to ask once more
// counts nothing twice.
func (c Class) NotRun() bool {
	switch c {
	case Unknown, TimedOut, Broken, Cancelled, Protocol:
		return false
	}
	return true
}

// Elsewhere reports whether it did not run and another server, or this one in a moment, may
// well decide: what a failover or a moving slot looks like. To ask once more is worth it.
func (c Class) Elsewhere() bool {
	switch c {
	case Unreachable, NoScript, ReadOnly, Moved, TryAgain, Loading, ClusterDown, MasterDown:
		return true
	}
	return false
}

// codes are what the errors of a server begin with.
var codes = [...]struct {
	code  string
	class Class
}{
	{"NOSCRIPT", NoScript},
	{"READONLY", ReadOnly},
	{"MOVED", Moved},
	{"ASK", Moved},
	{"TRYAGAIN", TryAgain},
	{"LOADING", Loading},
	{"OOM", OutOfMemory},
	{"BUSY", ScriptBusy},
	{"NOAUTH", NoAuth},
	{"WRONGPASS", NoAuth},
	{"NOPERM", NoPermission},
	{"ERR The user executing the script", NoPermission}, // may call the script, and not what is in it
	{"ERR ACL failure in script:", NoPermission},        // the same, of Redis 7.2 and later
	{"CLUSTERDOWN", ClusterDown},
	{"MASTERDOWN", MasterDown},
	{"MISCONF", Misconfigured},
	{"NOREPLICAS", Misconfigured},
	{"CROSSSLOT", Misconfigured},
	{"ERR max number of clients reached", TooManyClients},
}

// ofServer is the class of what a server said.
func ofServer(text string) Class {
	text = strings.TrimPrefix(text, "-")
	for _, c := range codes {
		if text == c.code || strings.HasPrefix(text, c.code+" ") {
			return c.class
		}
	}
	return Unknown
}

// newFault classifies an error of the client.
func newFault(err error) *Fault { return &Fault{Class: classify(err), Err: err} }

func classify(err error) Class {
	if e, ok := errors.AsType[redis.Error](err); ok {
		return ofServer(e.Error())
	}
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok && e != nil {
		return Untrusted
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "dial" {
		return Unreachable // before a timeout, which it may be too
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok && e != nil {
		return Unreachable
	}
	timeout, isNet := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted):
		return Busy
	case errors.Is(err, redis.ErrClosed):
		return Unreachable
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return Cancelled
	case isNet && timeout.Timeout():
		return TimedOut
	case isNet, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return Broken
	}
	for _, text := range []string{"redis: all sentinels", "redis: cluster has no nodes", "redis: all ring shards are down"} {
		if strings.HasPrefix(err.Error(), text) { // that have no name
			return Unreachable
		}
	}
	return Unknown
}

// serverError is what a server said to a command of the script.
type serverError string

func (e serverError) Error() string { return string(e) }

// keyFault is what a server said to a command for one key.
func keyFault(name, text string) error {
	text = strings.TrimPrefix(text, "-")
	if strings.HasPrefix(text, "WRONGTYPE") {
		return &KeyError{Key: name, Problem: "it is of another type: " + text}
	}
	return &Fault{Class: ofServer(text), Err: serverError(text)}
}
