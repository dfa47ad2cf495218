package adaptive

const (
	maxLimit = 1 << 22 // what the shell's ledger can hold
	maxRatio = 1000
)

// faults collects what is wrong. Checks are written so that NaN fails them.
type faults []error

func (f *faults) check(ok bool, field string, value any, problem string) {
	if !ok {
		*f = append(*f, &ConfigError{Field: field, Value: value, Problem: problem})
	}
}

// orDefault sets a zero field to its default.
func orDefault[T comparable](field *T, d T) {
	var zero T
	if *field == zero {
		*field = d
	}
}
