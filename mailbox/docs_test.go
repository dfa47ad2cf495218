package mailbox

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The page's numbers are compared with the code's.
func TestDocumentedOptionsAreTheRealOnes(t *testing.T) {
	text, err := os.ReadFile("../docs/mailbox.md")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("options.go")
	if err != nil {
		t.Fatal(err)
	}
	var s settings
	Lanes(none)(&s)
	weights := strings.Trim(strings.ReplaceAll(fmt.Sprint(s.weights), " ", ", "), "[]")
	want := map[string][2]string{
		"Capacity": {"messages, 1 to " + grouped(MaxCapacity), grouped(DefaultCapacity)},
		"Cost":     {"", "no bound"}, "Sojourn": {"", "no bound"},
		"OnFull": {fmt.Sprintf("`%v`, `%v`, `%v`, `%v`", Reject, DropOldest, DropLowest, Block), fmt.Sprintf("`%v`", Policy(0))},
		"Lanes":  {fmt.Sprintf("a function, and 2 to %d weights of 1 to %s", MaxLanes, grouped(MaxWeight)), "one lane; weights " + weights},
		"CoDel":  {"", "off"}, "NewestFirst": {"", "off"}, "TTL": {"", "off"}, "WaterMarks": {"", "off"},
		"Protect": {"", "nothing else"}, "Inline": {"", "off"},
	}
	for _, m := range regexp.MustCompile(`(?m)^func ([A-Z]\w*)\(.*\) Option`).FindAllStringSubmatch(string(code), -1) {
		if _, known := want[m[1]]; !known {
			t.Errorf("nothing is known of %s", m[1])
		}
	}
	_, options, _ := strings.Cut(string(text), "\n## Options\n")
	for _, m := range regexp.MustCompile("(?m)^\\| `([A-Z][A-Za-z]+)` \\| (.+) \\| (.+) \\|$").FindAllStringSubmatch(options, -1) {
		w, known := want[m[1]]
		if !known || w[0] != "" && w[0] != m[2] || w[1] != m[3] {
			t.Errorf("%s is %q, %q by default, and not %q, %q", m[1], w[0], w[1], m[2], m[3])
		}
		delete(want, m[1])
	}
	for option := range want {
		t.Errorf("%s is not documented", option)
	}
	for _, number := range []string{
		"holds " + grouped(DefaultCapacity) + " messages", fmt.Sprintf("to within %d messages", perSheaf), "at most one a second",
		fmt.Sprintf("At most %s senders", grouped(MaxParked)), "A window is at most " + grouped(MaxWindow), fmt.Sprintf("at most %s producers", grouped(MaxProducers)),
	} {
		if !strings.Contains(string(text), number) {
			t.Errorf("it does not say %q", number)
		}
	}
	if announceEvery != time.Second {
		t.Error("drops are not announced once a second")
	}
}

// grouped is n with commas.
func grouped(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
