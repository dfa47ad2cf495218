package patterns

// Consultation is a Machine's answer to a question of its pattern's own.
type Consultation struct {
	// Answer is of the type that goes with the question.
	Answer any
	// Err says why there is no Answer.
	Err error
	// Granted and Rejected are the requests for permits that the question contained and
	// that were decided with it. Their permits are spent: there is nothing to report.
	Granted, Rejected int
	// Dirty is as in Decision. Freed says that somebody who waits may now be served.
	Dirty, Freed bool
	// Refer says that the answer is elsewhere, as the Verdict of that name does. Nothing
	// else is set then.
	Refer bool
}
