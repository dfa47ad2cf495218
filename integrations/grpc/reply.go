package grpcguard

import (
	"errors"
	"reflect"

	"google.golang.org/protobuf/proto"

	"github.com/bulwark-go/bulwark/patterns"
)

// errNothing stands for the response that a policy took away and gave nothing for.
var errNothing = errors.New("grpcguard: there is no response")

// another returns an empty message of the type that reply has, for an attempt to fill: it may
// go on when the caller has its own back.
func another(reply any) any {
	if m, ok := reply.(proto.Message); ok {
		return m.ProtoReflect().New().Interface()
	}
	t := reflect.TypeOf(reply)
	if t == nil || t.Kind() != reflect.Pointer {
		return reply
	}
	return reflect.New(t.Elem()).Interface()
}

// fill makes reply what v is.
func fill(reply, v any) error {
	if same(reply, v) {
		return nil
	}
	if isNil(v) {
		return errNothing
	}
	to, ok := reply.(proto.Message)
	from, too := v.(proto.Message)
	if ok && too && to.ProtoReflect().Descriptor() == from.ProtoReflect().Descriptor() {
		proto.Reset(to)
		proto.Merge(to, from)
		return nil
	}
	t := reflect.TypeOf(reply)
	if ok || t == nil || t.Kind() != reflect.Pointer || t != reflect.TypeOf(v) {
		return &patterns.ResultError{Got: v, Want: reflect.TypeOf(reply).String()}
	}
	reflect.ValueOf(reply).Elem().Set(reflect.ValueOf(v).Elem())
	return nil
}

// same reports whether two messages are one.
func same(a, b any) bool {
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	return x.Kind() == reflect.Pointer && y.Kind() == reflect.Pointer && x.Type() == y.Type() && x.Pointer() == y.Pointer()
}

func isNil(v any) bool {
	r := reflect.ValueOf(v)
	return !r.IsValid() || r.Kind() == reflect.Pointer && r.IsNil()
}
