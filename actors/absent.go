package actors

// Gone reports whether the guard's actor was stopped or has failed for good. It is one
// atomic load.
func (h *Handle) Gone() bool { return h.dead() }

// Absent returns what a policy's callers get because the guard's actor is gone: a *Refusal
// if it was stopped in order, or if it failed for good and the guard's patterns.FailPolicy
// is FailClosed. With FailOpen it counts the call in Unguarded and returns nil, as it does
// while there is an actor, which costs one atomic load.
func (h *Handle) Absent() error {
	if !h.dead() {
		return nil
	}
	_, err := h.away()
	return err
}
