package outlier

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/configtest"
)

func with(change func(*Config)) Config {
	c := Config{Members: List("a", "b")}
	change(&c)
	return c
}

func TestInvalidConfigsNameTheField(t *testing.T) {
	of := func(names ...string) Config { return Config{Members: List(names...)} }
	configtest.Invalid(t, []configtest.Row[Config]{
		{"nobody", Config{}, "Members"},
		{"too many", Config{Members: numbered(maxMembers + 1)}, "Members"},
		{"one without a name", of("a", ""), "Members"},
		{"a space in a name", of("a", "b c"), "Members"},
		{"a line in a name", of("a", "b\nc"), "Members"},
		{"one twice", of("a", "b", "a"), "Members"},
		{"no failures", with(func(c *Config) { c.Consecutive = -1 }), "Consecutive"},
		{"too many failures", with(func(c *Config) { c.Consecutive = maxNumber + 1 }), "Consecutive"},
		{"a short ejection", with(func(c *Config) { c.EjectFor = minTime - 1 }), "EjectFor"},
		{"a longest one that is too long", with(func(c *Config) { c.MaxEjectFor = maxTime + 1 }), "MaxEjectFor"},
		{"a longest one that is shorter", with(func(c *Config) { c.MaxEjectFor = 29 * sec }), "MaxEjectFor"},
		{"a share below none", with(func(c *Config) { c.MaxEjected = -0.1 }), "MaxEjected"},
		{"a share above all", with(func(c *Config) { c.MaxEjected = 1.1 }), "MaxEjected"},
		{"no number", with(func(c *Config) { c.MaxEjected = math.NaN() }), "MaxEjected"},
		{"a short interval", with(func(c *Config) { c.Interval = -1 }), "Interval"},
		{"a long interval", with(func(c *Config) { c.Interval = maxTime + 1 }), "Interval"},
		{"deviations below none", with(func(c *Config) { c.Deviations = -1 }), "Deviations"},
		{"no number of deviations", with(func(c *Config) { c.Deviations = math.NaN() }), "Deviations"},
		{"too many deviations", with(func(c *Config) { c.Deviations = math.Inf(1) }), "Deviations"},
		{"one to compare", with(func(c *Config) { c.MinMembers = 1 }), "MinMembers"},
		{"too many to compare", with(func(c *Config) { c.MinMembers = maxMembers + 1 }), "MinMembers"},
		{"no requests", with(func(c *Config) { c.MinRequests = -1 }), "MinRequests"},
		{"too many requests", with(func(c *Config) { c.MinRequests = maxNumber + 1 }), "MinRequests"},
		{"an unknown fail policy", with(func(c *Config) { c.OnFailure = 99 }), "OnFailure"},
	})
	err := Config{Consecutive: -1, Interval: -1, OnFailure: 7}.Validate()
	if got := configtest.Faulty(err); !slices.Equal(got, []string{"Members", "Consecutive", "Interval", "OnFailure"}) {
		t.Errorf("faults in %v", got)
	}
	if want := `outlier: Members 3: have "a" twice`; of("a", "b", "a").Validate().Error() != want {
		t.Error(of("a", "b", "a").Validate())
	}
}

func TestTheLimitsOfARangeAreInIt(t *testing.T) {
	for _, c := range []Config{
		with(func(*Config) {}),
		{
			Members: numbered(maxMembers), Consecutive: maxNumber, EjectFor: maxTime, MaxEjectFor: maxTime, MaxEjected: 1, Interval: maxTime,
			Deviations: maxDeviations, MinMembers: maxMembers, MinRequests: maxNumber,
		},
		{
			Members: numbered(1), Consecutive: 1, EjectFor: minTime, MaxEjectFor: minTime, MaxEjected: 1e-9, Interval: minTime,
			Deviations: 1e-9, MinMembers: 2, MinRequests: 1, OnFailure: patterns.FailClosed,
		},
	} {
		if err := c.Validate(); err != nil {
			t.Error(err)
		}
		if once := c.withDefaults(); once != once.withDefaults() || once.Validate() != nil {
			t.Errorf("defaults are not stable: %+v", once)
		}
	}
}

func TestNobodyRunsAnInvalidConfig(t *testing.T) {
	configtest.NobodyRuns(t, map[string]func(){
		"NewMachine":  func() { NewMachine(Params{}) },
		"Reconfigure": func() { newRig(t, 1, Config{}).Reconfigure(0, Config{}) },
	})
}

func TestDocumentedDefaultsAreTheDefaults(t *testing.T) {
	configtest.Defaults(t, 0, Config{}.withDefaults())
}

func TestMembersAreATextWithCommas(t *testing.T) {
	var m Members
	if err := m.UnmarshalText([]byte(" http://a:1, http://b ,c")); err != nil || m != List("http://a:1", "http://b", "c") {
		t.Errorf("%q, %v", m, err)
	}
	if text, err := m.MarshalText(); string(text) != "http://a:1,http://b,c" || err != nil {
		t.Errorf("%s, %v", text, err)
	}
	if err := m.UnmarshalText(nil); err != nil || m != (Members{}) || len(m.Names()) != 0 {
		t.Errorf("%q, %v", m, err)
	}
	if got := with(func(*Config) {}).LogValue().String(); !strings.Contains(got, "members=a,b") {
		t.Error(got)
	}
}
