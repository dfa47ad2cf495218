package delay

import (
	"fmt"
	"strconv"

	"github.com/bulwark-go/bulwark/patterns/internal/faults"
)

// Complain adds to f what is wrong with b, which is the Config's field of that name.
func (b Backoff) Complain(f *faults.Faults, field string) {
	if b.shape == unset {
		f.Check(b == Backoff{}, field, b, "has a factor or jitter, and nothing that they are of")
		return
	}
	grows := b.shape != constant && b.shape != function
	f.Check(b.base >= 0 && (b.base > 0 || !grows), field, b, "must wait for more than 0, or be Constant")
	f.Check(b.most >= max(b.base, 1), field, b, "must not end below where it begins")
	f.Check(b.factor == 0 || b.shape == exponential, field, b, "has a factor, and only Exponential may have one")
	// Written so that NaN is a fault.
	f.Check(b.shape != exponential || b.factor >= 1 && b.factor-b.factor == 0, field, b, "must grow by a factor of 1 or more, and finite")
	f.Check(b.jitter != jitterAround || b.around > 0 && b.around <= 1, field, b, "must have a jitter above 0, up to 1")
	f.Check(b.jitter == exact || b.shape == constant || b.shape == linear || b.shape == exponential, field, b,
		"has a jitter, and only Constant, Linear and Exponential may have one")
	f.Check(b.shape != function || b.custom.wait != nil, field, b, "must have a function")
}

func (b Backoff) String() string {
	return b.growthText() + b.jitterText()
}

func (b Backoff) growthText() string {
	switch b.shape {
	case constant:
		return b.base.String()
	case linear:
		return fmt.Sprintf("linear %v up to %v", b.base, b.most)
	case exponential:
		return fmt.Sprintf("exponential %v ×%s up to %v", b.base, decimal(b.factor), b.most)
	case decorrelated:
		return fmt.Sprintf("decorrelated %v up to %v", b.base, b.most)
	case smooth:
		return fmt.Sprintf("smooth %v up to %v", b.base, b.most)
	case function:
		return fmt.Sprintf("custom %s up to %v", b.custom.name, b.most)
	default:
		return "none"
	}
}

func (b Backoff) jitterText() string {
	switch b.jitter {
	case full:
		return ", full jitter"
	case equal:
		return ", equal jitter"
	case jitterAround:
		return ", jitter ±" + decimal(b.around)
	default:
		return ""
	}
}

func decimal(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
