package grpcguard

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/bulwark-go/bulwark/integrations/internal/paths"
	"github.com/bulwark-go/bulwark/patterns"
)

var (
	// ErrSeveral is returned by Several to whoever does not say what for.
	ErrSeveral = errors.New("grpcguard: several guards, of which a call has one: use interceptors")

	// errAway refuses a call whose guard takes too long to answer.
	errAway = fmt.Errorf("grpcguard: the guard does not answer: %w", patterns.ErrRejected)
	// errSpent refuses to make a call again that is not idempotent. It is nothing that could be
	// granted later, which keeps retries from trying.
	errSpent = fmt.Errorf("grpcguard: the call cannot be made again: %w: %w", patterns.ErrRejected, patterns.ErrInvalidRequest)
	// errNeutral is matched by errors that say nothing of whoever was called.
	errNeutral = fmt.Errorf("grpcguard: neither good nor bad: %w: %w", patterns.ErrRejected, patterns.ErrInvalidRequest)
)

// methods are those that may be called again.
type methods struct {
	all   bool
	named *paths.Set
}

// has reports whether a method may be called again, as somebody said, or its .proto.
func (m *methods) has(method string) bool {
	if m.all || m.named.Has(method, "") {
		return true
	}
	name := protoreflect.FullName(strings.ReplaceAll(strings.TrimPrefix(method, "/"), "/", "."))
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err != nil {
		return false
	}
	o, ok := d.Options().(*descriptorpb.MethodOptions)
	return ok && o.GetIdempotencyLevel() != descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN
}

// pushbackKey is the trailer by which a server says when to try again, in milliseconds, or,
// with anything that is no number or negative, not to.
const pushbackKey = "grpc-retry-pushback-ms"

// pushback is the trailer that says to wait for d.
func pushback(d time.Duration) metadata.MD {
	ms := (d + time.Millisecond - 1) / time.Millisecond
	return metadata.Pairs(pushbackKey, strconv.FormatInt(int64(ms), 10))
}

// hint returns what a server said of when to try again: final if it does not want to.
func hint(err error, trailer metadata.MD) (wait time.Duration, known, final bool) {
	if values := trailer.Get(pushbackKey); len(values) > 0 {
		ms, err := strconv.ParseInt(values[0], 10, 64)
		if len(values) > 1 || err != nil || ms < 0 {
			return 0, false, true
		}
		wait, known = time.Duration(min(ms, maxPushback))*time.Millisecond, true
	}
	s, _ := status.FromError(err)
	for _, d := range s.Details() {
		info, ok := d.(*errdetails.RetryInfo)
		if !ok || info.GetRetryDelay().CheckValid() != nil {
			continue
		}
		if delay := info.GetRetryDelay().AsDuration(); delay >= 0 {
			wait, known = max(wait, delay), true
		}
	}
	return wait, known, false
}

// maxPushback is a day.
const maxPushback = 24 * 60 * 60 * 1000
