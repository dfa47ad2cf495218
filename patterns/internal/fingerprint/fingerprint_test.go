package fingerprint

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"
)

// From the reference implementation: the key is 00 01 … 0f, the input 00 01 … of
// each length.
func TestFingerprintsAreSipHash(t *testing.T) {
	seed := Seed{0x0706050403020100, 0x0f0e0d0c0b0a0908}
	for length, want := range map[int]string{
		0:  "a3817f04ba25a8e66df67214c7550293",
		1:  "da87c1d86b99af44347659119b22fc45",
		2:  "8177228da4a45dc7fca38bdef60affe4",
		3:  "9c70b60c5267a94e5f33b6b02985ed51",
		15: "5493e99933b0a8117e08ec0f97cfc3d9",
	} {
		input := make([]byte, length)
		for i := range input {
			input[i] = byte(i)
		}
		k := Of(seed, string(input))
		got := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, k.High), k.Low)
		if hex.EncodeToString(got) != want {
			t.Errorf("%d bytes: %x, want %s", length, got, want)
		}
	}
}

func TestEveryByteAndTheLengthCount(t *testing.T) {
	seen := map[Key]string{}
	long := strings.Repeat("a", 1<<20)
	keys := []string{"", "\x00", "\x00\x00", "a", "aa", "aaaaaaa", "aaaaaaaa", "aaaaaaaaa", "aaaaaaa\x00", long, long[1:], long[1:] + "b", "b" + long[1:]}
	for _, s := range keys {
		k := Of(Seed{1, 2}, s)
		if other, ok := seen[k]; ok {
			t.Errorf("keys of %d and %d bytes are one", len(s), len(other))
		}
		seen[k] = s
	}
}

func TestTheSeedCounts(t *testing.T) {
	if a, b, c := Of(Seed{1, 2}, "x"), Of(Seed{1, 3}, "x"), Of(Seed{2, 2}, "x"); a == b || a == c || b == c {
		t.Error("seeds do not matter")
	}
}

func TestFingerprintsDoNotAllocate(t *testing.T) {
	s := strings.Repeat("x", 100)
	if n := testing.AllocsPerRun(100, func() { _ = Of(Seed{1, 2}, s) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkOf(b *testing.B) {
	for name, s := range map[string]string{"8B": "user-123", "36B": strings.Repeat("x", 36), "1MB": strings.Repeat("x", 1<<20)} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(s)))
			for b.Loop() {
				_ = Of(Seed{1, 2}, s)
			}
		})
	}
}
