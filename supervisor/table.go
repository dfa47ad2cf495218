package supervisor

import "errors"

// Rule is a line of a Table.
type Rule struct {
	fits func(reason any) bool
	then Directive
}

// Table returns a function for Decide: the first rule that fits what a child panicked
// with decides, and Restart if none does.
//
//	supervisor.Decide(supervisor.Table(
//		supervisor.Is(sql.ErrConnDone, supervisor.Restart),
//		supervisor.As[*os.PathError](supervisor.Stop),
//		supervisor.As[runtime.Error](supervisor.Escalate),
//		supervisor.Otherwise(supervisor.Resume),
//	))
func Table(rules ...Rule) func(reason any) Directive {
	return func(reason any) Directive {
		for _, r := range rules {
			if r.fits(reason) {
				return r.then
			}
		}
		return Restart
	}
}

// Is fits an error for which errors.Is finds target.
func Is(target error, then Directive) Rule {
	return Rule{func(reason any) bool {
		err, ok := reason.(error)
		return ok && errors.Is(err, target)
	}, then}
}

// As fits an error in whose tree there is an E, which may be an interface.
func As[E error](then Directive) Rule {
	return Rule{func(reason any) bool {
		err, ok := reason.(error)
		if !ok {
			return false
		}
		_, ok = errors.AsType[E](err)
		return ok
	}, then}
}

// Type fits what is a T, such as a string, whether it is an error or not.
func Type[T any](then Directive) Rule {
	return Rule{func(reason any) bool { _, ok := reason.(T); return ok }, then}
}

// When fits what fits says.
func When(fits func(reason any) bool, then Directive) Rule { return Rule{fits, then} }

// Otherwise fits everything.
func Otherwise(then Directive) Rule {
	return Rule{func(any) bool { return true }, then}
}
