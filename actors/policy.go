package actors

import (
	"fmt"
	"log/slog"

	"github.com/bulwark-go/bulwark/mailbox"
)

// Plan returns what the guard's rules want callers to go by, as of their last dirty step;
// nil if they are no Planner. It is one atomic load, and works while the guard restarts and
// after it has stopped.
func (h *Handle) Plan() any { return h.shell.gate.Load().plan }

// Tell is Consult for a question that nobody waits for the answer of: it never blocks. If
// the guard is busy or restarts, the question queues. The error says why it did not, such as
// a *Refusal; then the question is lost. So is one whose turn panics. If the rules do not
// take one that has queued, that is logged.
func (h *Handle) Tell(question any) error {
	s := h.shell
	if s.mailbox.TryEnter() {
		_, err := h.spotConsult(question)
		return err
	}
	c := newCall().(*call)
	c.kind, c.control = callControl, func() { s.told(question) }
	if err := s.mailbox.Post(&c.node, mailbox.Ordinary); err != nil {
		if h.dead() {
			return h.gone()
		}
		return s.refusals().of(err)
	}
	return nil
}

// told is consult for a question that has queued, whose answer nobody waits for.
func (s *shell) told(question any) {
	if _, err := s.consult(question); err != nil && !s.closing {
		s.note(slog.LevelWarn, "what a caller told was not taken", slog.String("question", fmt.Sprintf("%T", question)), slog.Any("error", err))
	}
}
