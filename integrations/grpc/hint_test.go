package grpcguard

import (
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"
)

func TestWhatAServerSaysOfWhenToTryAgain(t *testing.T) {
	info := func(d *durationpb.Duration) protoadapt.MessageV1 {
		return protoadapt.MessageV1Of(&errdetails.RetryInfo{RetryDelay: d})
	}
	for _, tt := range []struct {
		name    string
		details []protoadapt.MessageV1
		trailer []string
		wait    time.Duration
		known   bool
		final   bool
	}{
		{"nothing", nil, nil, 0, false, false},
		{"a detail", []protoadapt.MessageV1{info(durationpb.New(time.Second))}, nil, time.Second, true, false},
		{"a trailer", nil, []string{"1500"}, 1500 * time.Millisecond, true, false},
		{"the longer of both", []protoadapt.MessageV1{info(durationpb.New(time.Second))}, []string{"1500"}, 1500 * time.Millisecond, true, false},
		{"two details", []protoadapt.MessageV1{info(durationpb.New(time.Second)), info(durationpb.New(time.Minute))}, nil, time.Minute, true, false},
		{"a detail without a time", []protoadapt.MessageV1{info(nil)}, nil, 0, false, false},
		{"before now", []protoadapt.MessageV1{info(durationpb.New(-time.Second))}, nil, 0, false, false},
		{"no time at all", []protoadapt.MessageV1{info(&durationpb.Duration{Seconds: 1, Nanos: -1})}, nil, 0, false, false},
		{"another detail", []protoadapt.MessageV1{protoadapt.MessageV1Of(&errdetails.ErrorInfo{})}, nil, 0, false, false},
		{"never", nil, []string{"-1"}, 0, false, true},
		{"never, whatever the detail", []protoadapt.MessageV1{info(durationpb.New(time.Second))}, []string{"-1"}, 0, false, true},
		{"no number", nil, []string{"1s"}, 0, false, true},
		{"a number too large", nil, []string{"99999999999999999999"}, 0, false, true},
		{"several", nil, []string{"1", "2"}, 0, false, true},
		{"next year", nil, []string{"31536000000"}, 24 * time.Hour, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := status.New(codes.Unavailable, "x").WithDetails(tt.details...)
			if err != nil {
				t.Fatal(err)
			}
			wait, known, final := hint(s.Err(), metadata.MD{pushbackKey: tt.trailer})
			if wait != tt.wait || known != tt.known || final != tt.final {
				t.Errorf("%v, %v, %v, want %v, %v, %v", wait, known, final, tt.wait, tt.known, tt.final)
			}
		})
	}
}

func TestAPushbackIsNeverTooEarly(t *testing.T) {
	for d, want := range map[time.Duration]time.Duration{1: time.Millisecond, time.Millisecond: time.Millisecond, time.Second + 1: 1001 * time.Millisecond} {
		if wait, known, _ := hint(nil, pushback(d)); wait != want || !known {
			t.Errorf("%v for %v, want %v", wait, d, want)
		}
	}
}

func TestResponsesAreFilledOnlyFromTheirOwnType(t *testing.T) {
	type plain struct{ n int } // as another codec has them
	to := &plain{}
	if err := fill(to, &plain{7}); err != nil || to.n != 7 {
		t.Errorf("%v, %v", to, err)
	}
	for name, v := range map[string]any{"another type": &struct{ n int }{}, "no pointer": plain{}, "nil": nil, "nothing": (*plain)(nil)} {
		if err := fill(to, v); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if fresh, ok := another(to).(*plain); !ok || fresh == to || fresh.n != 0 {
		t.Errorf("another is %v", fresh)
	}
	if v := another(nil); v != nil {
		t.Errorf("another nothing is %v", v)
	}
}
