package adaptive

import (
	"strings"
	"testing"
)

func TestAQueueIsReadAsItIsWritten(t *testing.T) {
	for want := range queues {
		text, err := want.MarshalText()
		got := queues
		if err != nil || got.UnmarshalText(text) != nil || got != want || !strings.Contains(queueText, string(text)) {
			t.Errorf("%v is written as %q (%v) and read as %v", want, text, err, got)
		}
	}
	q := LIFO
	if err := q.UnmarshalText([]byte("stack")); err == nil || !strings.Contains(err.Error(), queueText) || q != LIFO {
		t.Errorf("%v, %v", q, err)
	}
	if text, err := queues.MarshalText(); err == nil {
		t.Errorf("none was written as %q", text)
	}
}
