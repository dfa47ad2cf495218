package grpcguard_test

import (
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/emptypb"

	grpcguard "github.com/bulwark-go/bulwark/integrations/grpc"
	"github.com/bulwark-go/bulwark/patterns/retry"
)

// register is what generated code does for a .proto.
func register(t *testing.T) {
	t.Helper()
	const name = "bulwark/idempotent_test.proto"
	if _, err := protoregistry.GlobalFiles.FindFileByPath(name); err == nil {
		return // by an earlier run of the test
	}
	method := func(name string, level descriptorpb.MethodOptions_IdempotencyLevel) *descriptorpb.MethodDescriptorProto {
		return &descriptorpb.MethodDescriptorProto{
			Name: &name, InputType: proto.String(".google.protobuf.Empty"), OutputType: proto.String(".google.protobuf.Empty"),
			Options: &descriptorpb.MethodOptions{IdempotencyLevel: &level},
		}
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String(name), Package: proto.String("bulwark.test"), Dependency: []string{"google/protobuf/empty.proto"},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("Bank"), Method: []*descriptorpb.MethodDescriptorProto{
			method("Read", descriptorpb.MethodOptions_NO_SIDE_EFFECTS), method("Set", descriptorpb.MethodOptions_IDEMPOTENT),
			method("Charge", descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN),
		}}},
	}, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	if err := protoregistry.GlobalFiles.RegisterFile(file); err != nil {
		t.Fatal(err)
	}
}

func TestAMethodsProtoSaysThatItMayBeMadeAgain(t *testing.T) {
	register(t)
	for method, want := range map[string]int32{
		"/bulwark.test.Bank/Read": 3, "/bulwark.test.Bank/Set": 3, "/bulwark.test.Bank/Charge": 1,
		"/bulwark.test.Bank/Unheard": 1, "/bulwark.test.Other/Read": 1, "/google.protobuf/Empty": 1,
	} {
		t.Run(method, func(t *testing.T) {
			r := newRetry(t, registry(t), retry.Config{Backoff: retry.Constant(0)})
			var calls atomic.Int32
			s := serve(t, answers(nil), grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error {
				calls.Add(1)
				return status.Error(codes.Unavailable, "down")
			}))
			err := dial(t, s, grpcguard.UnaryClient(r)).Invoke(t.Context(), method, &emptypb.Empty{}, &emptypb.Empty{})
			wantCode(t, err, codes.Unavailable)
			if got := calls.Load(); got != want {
				t.Errorf("%d calls, want %d", got, want)
			}
		})
	}
}
