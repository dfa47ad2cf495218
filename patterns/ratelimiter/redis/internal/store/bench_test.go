package store

import (
	"fmt"
	"strconv"
	"testing"
	"time"
)

// One Run of so many checks. What a check costs is what the run does divided by them.
func BenchmarkRun(b *testing.B) {
	for _, a := range []Algorithm{TokenBucket, SlidingLog} {
		s := newStore(b, servers.Client(b), a)
		law := s.mustLaw(b, per(1000, time.Second, 1000))
		for _, keys := range []int{1, 128} {
			for _, n := range []int{1, 16, 128} {
				if keys > n && n < 128 {
					continue
				}
				checks, answers := make([]Check, n), make([]Answer, n)
				for i := range checks {
					checks[i] = Check{Key: "user-" + strconv.Itoa(i%keys), Law: law, Kind: Take, Weight: 1}
				}
				b.Run(fmt.Sprintf("algorithm=%d/keys=%d/checks=%d", a, keys, n), func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						if err := s.Run(b.Context(), checks, answers); err != nil {
							b.Fatal(err)
						}
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/check")
				})
			}
		}
	}
}
