// Package fingerprint turns keys of any length into 16 bytes that stand for them.
package fingerprint

import "math/bits"

// Key is the fingerprint of a string. The zero Key is none's.
type Key struct{ High, Low uint64 }

// Seed makes fingerprints unpredictable. It is secret, and drawn at random.
type Seed [2]uint64

// Of returns the fingerprint of s: SipHash-2-4 with 128 bits of output, a keyed
// pseudorandom function. To one who does not know the seed the fingerprints of chosen
// strings are as good as random, so that the chance that any two of a thousand million
// keys are the same is below 2^-68, and nobody can raise it by choosing the keys. Faster
// hashes, such as the runtime's own, do not promise that, nor are they 128 bits wide.
func Of(seed Seed, s string) Key {
	h := state{
		seed[0] ^ 0x736f6d6570736575, seed[1] ^ 0x646f72616e646f6d ^ 0xee,
		seed[0] ^ 0x6c7967656e657261, seed[1] ^ 0x7465646279746573,
	}
	last := uint64(len(s)) << 56
	for ; len(s) >= 8; s = s[8:] {
		h.compress(word(s))
	}
	for i := range len(s) {
		last |= uint64(s[i]) << (8 * i)
	}
	h.compress(last)
	h[2] ^= 0xee
	k := Key{High: h.finish()}
	h[1] ^= 0xdd
	k.Low = h.finish()
	if k == (Key{}) {
		k.Low = 1
	}
	return k
}

type state [4]uint64

// word reads 8 bytes in one load.
func word(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

func (h *state) compress(m uint64) {
	h[3] ^= m
	h.rounds(2)
	h[0] ^= m
}

func (h *state) finish() uint64 {
	h.rounds(4)
	return h[0] ^ h[1] ^ h[2] ^ h[3]
}

func (h *state) rounds(n int) {
	v0, v1, v2, v3 := h[0], h[1], h[2], h[3]
	for range n {
		v0 += v1
		v2 += v3
		v1 = bits.RotateLeft64(v1, 13) ^ v0
		v3 = bits.RotateLeft64(v3, 16) ^ v2
		v0 = bits.RotateLeft64(v0, 32) + v3
		v2 += v1
		v3 = bits.RotateLeft64(v3, 21) ^ v0
		v1 = bits.RotateLeft64(v1, 17) ^ v2
		v2 = bits.RotateLeft64(v2, 32)
	}
	h[0], h[1], h[2], h[3] = v0, v1, v2, v3
}
