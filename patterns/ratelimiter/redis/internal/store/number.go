package store

import (
	"encoding/binary"
	"math"
)

// appendNumber appends x, which is below whole, in MessagePack.
func appendNumber(b []byte, x uint64) []byte {
	switch {
	case x < 0x80:
		return append(b, byte(x))
	case x <= math.MaxUint16:
		return append(b, 0xcd, byte(x>>8), byte(x))
	case x <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, 0xce), uint32(x))
	}
	return binary.BigEndian.AppendUint64(append(b, 0xcb), math.Float64bits(float64(x)))
}

// numbers reads an answer of the script from the left. What is missing or no whole number
// makes it bad.
type numbers struct {
	rest string
	bad  bool
}

func (n *numbers) byte() byte {
	if n.rest == "" {
		n.bad = true
		return 0
	}
	c := n.rest[0]
	n.rest = n.rest[1:]
	return c
}

// next reads a double.
func (n *numbers) next() int64 {
	if len(n.rest) < 8 {
		n.bad, n.rest = true, ""
		return 0
	}
	var bits uint64
	for i := range 8 {
		bits |= uint64(n.rest[i]) << (8 * i)
	}
	n.rest = n.rest[8:]
	f := math.Float64frombits(bits)
	if !(f >= -whole && f <= whole) || f != math.Trunc(f) {
		n.bad = true
		return 0
	}
	return int64(f)
}

// text reads a length and as many bytes.
func (n *numbers) text() string {
	size := int(n.byte())
	if len(n.rest) < size {
		n.bad = true
		return ""
	}
	s := n.rest[:size]
	n.rest = n.rest[size:]
	return s
}
