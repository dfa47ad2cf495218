package middleware

import (
	"testing"

	"github.com/asynkron/protoactor-go/actor"
)

func TestAQueueIsFirstInFirstOutAndItsMemoryIsBounded(t *testing.T) {
	var q queue
	in, out := 0, 0
	for round := range 1000 {
		for range 1 + round%3 {
			q.push(stashed{envelope: &actor.MessageEnvelope{Message: in}})
			in++
		}
		for q.size() > round%7 {
			if got := q.pop().envelope.Message; got != out {
				t.Fatalf("%v, want %d", got, out)
			}
			out++
		}
		if q.size() != in-out || cap(q.items) > 64 {
			t.Fatalf("%d, want %d; room for %d", q.size(), in-out, cap(q.items))
		}
	}
	for q.size() > 0 {
		q.pop()
	}
	if q.items != nil {
		t.Error("an empty queue keeps memory")
	}
}

func TestPoliciesHaveNames(t *testing.T) {
	for p, want := range map[Policy]string{Answer: "answer", Stash: "stash", 9: "policy(9)"} {
		if p.String() != want {
			t.Errorf("%v, want %s", p, want)
		}
	}
}
