package cgroup

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// What the vectors do not say. A result is printed, and an error is "error".
func TestFiles(t *testing.T) {
	shown := func(v any, err error) string {
		if err != nil {
			return "error"
		}
		return fmt.Sprint(v)
	}
	cpuMax := func(text string) string { return shown(ParseCPUMax([]byte(text))) }
	cpus := func(text string) string { return shown(CountCPUs([]byte(text))) }
	count := func(text string) string { return shown(Count([]byte(text))) }
	member := func(text string) string { return shown(ParseMembership([]byte(text))) }
	psi := func(text string) string { return shown(ParsePSI([]byte(text))) }
	tests := []struct {
		name string
		got  string
		want string
	}{
		{"no quota needs no period", cpuMax("max"), "{0 0}"},
		{"but not one that is none", cpuMax("max x"), "error"},
		{"the largest quota", cpuMax("18446744073709551615 1"), "{18446744073709551615 1}"},
		{"a quota too large", cpuMax("18446744073709551616 1"), "error"},
		{"a quota of 1 in the longest period", cpuMax("1 18446744073709551615"), "{1 18446744073709551615}"},
		{"signs are not digits", cpuMax("+5 100"), "error"},
		{"nor are underscores, points, or other scripts", cpuMax("1_0 100") + cpuMax("1.0 100") + cpuMax("１ 100"), "errorerrorerror"},
		{"nor are letters, on either side of the digits", count("1a") + count("1/") + count("1:"), "errorerrorerror"},
		{"two blanks", cpuMax("50000  100000"), "error"},
		{"a file cut off in its middle", cpuMax("50000 "), "error"},

		{"a list with blanks around", cpus(" 0-1 \n"), "2"},
		{"a list with blanks within", cpus("0, 1"), "error"},
		{"nothing but a comma", cpus(","), "error"},
		{"a range without an end", cpus("3-"), "error"},
		{"a range without a beginning", cpus("-3"), "error"},
		{"a range of one", cpus("3-3"), "1"},
		{"overlapping ranges", cpus("0-63,32-95"), "96"},
		{"the last CPU that counts", cpus("16383"), "1"},
		{"all of them", cpus("0-16383"), "16384"},
		{"one too many", cpus("16384"), "error"},
		{"a range that would take for ever", cpus("0-18446744073709551615"), "error"},

		{"a number with a line's end", count("12\n"), "12"},
		{"the largest number", count("18446744073709551615"), "18446744073709551615"},
		{"one more than that", count("18446744073709551616"), "error"},
		{"ten times that", count("184467440737095516150"), "error"},
		{"no number", count("\n"), "error"},
		{"two numbers", count("1\n2\n"), "error"},
		{"a negative one", count("-1"), "error"},

		{"another key's line does not matter", shown(Stat([]byte("a b\nnothing\n\nkey 5\nkey 6"), "key")), "5"},
		{"a key that another begins with", shown(Stat([]byte("keyed 1\nkey 5"), "key")), "5"},
		{"a key without a number", shown(Stat([]byte("key\n"), "key")), "error"},
		{"a key behind a blank", shown(Stat([]byte(" key 1"), "key")), "error"},
		{"a key whose number was cut off", shown(Stat([]byte("key "), "key")), "error"},
		{"a key with two numbers", shown(Stat([]byte("key 1 2\n"), "key")), "error"},
		{"microseconds", shown(Micros([]byte("usage_usec 7\n"), "usage_usec")), "7000"},
		{"the most microseconds", shown(Micros([]byte("x 18446744073709551"), "x")), "18446744073709551000"},
		{"more than fit", shown(Micros([]byte("x 18446744073709552"), "x")), "error"},
		{"no microseconds", shown(Micros(nil, "x")), "error"},

		{"a process in no group of interest", member("1:name=systemd:/\n7:pids:/x"), "error"},
		{"v1 without cpu", member("4:memory:/m\n"), "{    /m}"},
		{"a hybrid: memory in v1, cpu in v2", member("4:memory:/m\n0::/u\n"), "{/u    /m}"},
		{"a line cut off", member("0::/u\n4:mem"), "error"},
		{"a number that is none", member("x:cpu:/u\n0::/u"), "error"},
		{"a path that is none", member("0::u"), "error"},
		{"no path", member("0::"), "error"},
		{"no number", member("x::/u"), "error"},
		{"the first line of its kind counts", member("0::/a\n0::/b\n"), "{/a    }"},
		{"a controller named like the file system", member("1:name=cpu:/x\n0::/u"), "{/u    }"},
		{"line 0 with controllers is not v2", member("0:cpu:/c"), "{ /c   }"},
		{"an empty line", member("0::/a\n\n1:cpu:/b"), "error"},

		{"pressure, in another order and with more", psi("news\nsome total=5 new=x avg300=0.3 avg60=0.2 avg10=0.1\n"), "{{0.1 0.2 0.3 5} {0 0 0 0} false}"},
		{"pressure without a total", psi("some avg10=0.00 avg60=0.00 avg300=0.00\n"), "error"},
		{"pressure without an average", psi("some avg10=0.00 avg300=0.00 total=1\n"), "error"},
		{"pressure that is not a number", psi("some avg10=NaN avg60=0 avg300=0 total=1"), "error"},
		{"pressure without end", psi("some avg10=Inf avg60=0 avg300=0 total=1"), "error"},
		{"negative pressure", psi("some avg10=-1 avg60=0 avg300=0 total=1"), "error"},
		{"pressure cut off in its second line", psi("some avg10=0 avg60=0 avg300=0 total=1\nfull avg10=0."), "error"},
		{"too much pressure", psi("some avg10=1" + strings.Repeat("0", 400) + " avg60=0 avg300=0 total=1"), "error"},
		{"the first line of full counts", psi("some avg10=0 avg60=0 avg300=0 total=1\nfull avg10=0 avg60=0 avg300=0 total=2\nfull x"), "{{0 0 0 1} {0 0 0 2} true}"},
		{"the first line of some counts", psi("some avg10=0 avg60=0 avg300=0 total=1\nsome x"), "{{0 0 0 1} {0 0 0 0} false}"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.got != tt.want {
				t.Errorf("%s, want %s", tt.got, tt.want)
			}
		})
	}
}

func TestErrorsQuoteTheFileAndNotAllOfIt(t *testing.T) {
	_, err := ParseCFS([]byte("x\n"), []byte("1\n"))
	if want := `cgroup: cpu.cfs_quota_us and cpu.cfs_period_us: cannot read "x 1"`; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	_, err = Count([]byte(strings.Repeat("x", 5000)))
	if err == nil || len(err.Error()) > 150 || !strings.Contains(err.Error(), "4936 more") {
		t.Errorf("%v", err)
	}
}

func TestFullOfNothingIsFull(t *testing.T) {
	for _, tt := range []struct {
		used, limit uint64
		want        float64
	}{{0, 0, 1}, {5, 0, 1}, {0, 5, 0}, {5, 10, 0.5}, {15, 10, 1.5}, {math.MaxUint64, 1, math.MaxUint64}} {
		if got := Full(tt.used, tt.limit); got != tt.want {
			t.Errorf("Full(%d, %d) = %v, want %v", tt.used, tt.limit, got, tt.want)
		}
	}
}

// The twins read as strings, the slow and obvious way.

func TestNumbersAreThoseOfStrconv(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(
			rapid.StringMatching(`[0-9]{0,22}`), rapid.StringMatching(`[-+_ 0-9a-fx.]{0,5}`),
			rapid.Map(rapid.Uint64(), func(n uint64) string { return strconv.FormatUint(n, 10) }),
		).Draw(t, "text")
		want, err := strconv.ParseUint(text, 10, 64)
		if got, ok := number([]byte(text)); ok != (err == nil) || ok && got != want {
			t.Fatalf("%q: %d, %v, want %d, %v", text, got, ok, want, err)
		}
	})
}

func TestCPUsAreCountedAsASetWould(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set := map[int]bool{}
		var parts []string
		for range rapid.IntRange(1, 8).Draw(t, "parts") {
			from := rapid.IntRange(0, maxCPUs-1).Draw(t, "from")
			to := rapid.IntRange(from, min(from+200, maxCPUs-1)).Draw(t, "to")
			part := fmt.Sprintf("%d-%d", from, to)
			if from == to && rapid.Bool().Draw(t, "alone") {
				part = strconv.Itoa(from)
			}
			parts = append(parts, part)
			for cpu := from; cpu <= to; cpu++ {
				set[cpu] = true
			}
		}
		if got, err := CountCPUs([]byte(strings.Join(parts, ","))); err != nil || got != len(set) {
			t.Fatalf("%q: %d, %v, want %d", parts, got, err, len(set))
		}
	})
}

func TestStatFindsWhatAMapHas(t *testing.T) {
	key := rapid.StringMatching(`[a-c._]{1,3}`)
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.MapOf(key, rapid.Uint64()).Draw(t, "stat")
		var text strings.Builder
		for k, n := range all {
			fmt.Fprintf(&text, "%s %d\n", k, n)
		}
		wanted := key.Draw(t, "key")
		want, there := all[wanted]
		if got, err := Stat([]byte(text.String()), wanted); (err == nil) != there || got != want {
			t.Fatalf("%q in %q: %d, %v", wanted, text.String(), got, err)
		}
	})
}

func TestQuotasAreDivided(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		quota := rapid.Uint64Range(1, 1<<50).Draw(t, "quota")
		period := rapid.Uint64Range(1, 1<<50).Draw(t, "period")
		want := float64(quota) / float64(period)
		v2, err2 := ParseCPUMax(fmt.Appendf(nil, "%d %d\n", quota, period))
		v1, err1 := ParseCFS(fmt.Appendf(nil, "%d\n", quota), fmt.Appendf(nil, "%d\n", period))
		if v1.Cores() != want || v2 != v1 || err1 != nil || err2 != nil {
			t.Fatalf("%v, %v, %v, %v, want %v cores", v1, err1, v2, err2, want)
		}
	})
}

func TestMembershipIsWhatSplittingGives(t *testing.T) {
	path := rapid.StringMatching(`/[a-z:]{0,6}`)
	rapid.Check(t, func(t *rapid.T) {
		var want Membership
		var lines []string
		controllers := rapid.Permutation([]string{"cpu", "cpuacct", "cpuset", "memory", "pids", "name=systemd"}).Draw(t, "controllers")
		for id := 1; len(controllers) > 0; id++ {
			n := rapid.IntRange(1, len(controllers)).Draw(t, "together")
			p := path.Draw(t, "path")
			for _, c := range controllers[:n] {
				switch c {
				case "cpu":
					want.CPU = p
				case "cpuacct":
					want.CPUAcct = p
				case "cpuset":
					want.CPUSet = p
				case "memory":
					want.Memory = p
				}
			}
			lines = append(lines, fmt.Sprintf("%d:%s:%s", id, strings.Join(controllers[:n], ","), p))
			controllers = controllers[n:]
		}
		if rapid.Bool().Draw(t, "hybrid") {
			want.Unified = path.Draw(t, "unified")
			lines = append(lines, "0::"+want.Unified)
		}
		got, err := ParseMembership([]byte(strings.Join(lines, "\n") + "\n"))
		if got != want || err != nil {
			t.Fatalf("%q: %+v, %v, want %+v", lines, got, err, want)
		}
	})
}
