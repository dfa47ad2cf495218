package redislimiter

import (
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/bulwark-go/bulwark/patterns"
	"github.com/bulwark-go/bulwark/patterns/internal/configtest"
	"github.com/bulwark-go/bulwark/patterns/ratelimiter"
)

func with(c Config, f func(*Config)) Config {
	f(&c)
	return c
}

func TestInvalidConfigsNameTheField(t *testing.T) {
	ok := Config{Rate: ratelimiter.MustParse("10/second"), Client: offline()}
	row := func(name, field string, f func(*Config)) configtest.Row[Config] {
		return configtest.Row[Config]{Name: name, Config: with(ok, f), Field: field}
	}
	configtest.Invalid(t, []configtest.Row[Config]{
		row("no rate", "Rate", func(c *Config) { c.Rate = ratelimiter.Rate{} }),
		row("a rate that is not exact", "Rate", func(c *Config) { c.Rate = ratelimiter.Rate{Count: 7, Per: 366 * 24 * time.Hour, Burst: 1e9} }),
		row("a log too long", "Rate", func(c *Config) { c.Rate, c.Algorithm = ratelimiter.MustParse("10001/second"), ratelimiter.SlidingLog }),
		row("a rate and tiers", "Tiers", func(c *Config) { c.Tiers = ratelimiter.Several(c.Rate) }),
		row("an algorithm that is not for several", "Algorithm", func(c *Config) { c.Algorithm = ratelimiter.FixedWindow }),
		row("no client", "Client", func(c *Config) { c.Client = nil }),
		row("a client and a URL", "URL", func(c *Config) { c.URL = "redis://h" }),
		row("a URL of something else", "URL", func(c *Config) { c.Client, c.URL = nil, "http://h" }),
		row("a prefix with braces", "Prefix", func(c *Config) { c.Prefix = "a{b" }),
		row("no time at all", "Timeout", func(c *Config) { c.Timeout = time.Millisecond - 1 }),
		row("a timeout of an hour", "Timeout", func(c *Config) { c.Timeout = time.Hour }),
		row("no policy", "OnOutage", func(c *Config) { c.OnOutage = outages }),
		row("fewer than no instances", "Instances", func(c *Config) { c.Instances = -1 }),
		row("too many instances", "Instances", func(c *Config) { c.Instances = maxMillion + 1 }),
		row("too many failures", "Failures", func(c *Config) { c.Failures = 1001 }),
		row("tried all the time", "RetryEvery", func(c *Config) { c.RetryEvery = time.Millisecond }),
		row("a batch too large", "MaxBatch", func(c *Config) { c.MaxBatch = 1<<14 + 1 }),
		row("a queue too long", "MaxQueue", func(c *Config) { c.MaxQueue = maxMillion + 1 }),
		row("too many waiting", "MaxWaiting", func(c *Config) { c.MaxWaiting = maxMillion + 1 }),
		row("a wait where nobody waits", "MaxWait", func(c *Config) { c.MaxWait = 1 }),
		row("a negative wait", "MaxWait", func(c *Config) { c.MaxWait, c.MaxWaiting = -1, 1 }),
		row("a lease too short", "LeaseFor", func(c *Config) { c.LeaseFor = time.Millisecond }),
		row("a lease of a log", "LeaseFor", func(c *Config) { c.LeaseFor, c.Algorithm = time.Second, ratelimiter.SlidingLog }),
		row("a lease without a lease", "MaxLease", func(c *Config) { c.MaxLease = 1 }),
		row("cells that last less than nothing", "Mode", func(c *Config) { c.Mode, c.LeaseFor = patterns.Leased(-1, 0), time.Second }),
		row("no fail policy", "OnFailure", func(c *Config) { c.OnFailure = 99 }),
	})
}

func TestDocumentedDefaultsAreTheDefaults(t *testing.T) {
	configtest.DefaultsOn(t, "../../../docs/patterns/redis-ratelimiter.md", []string{"Prefix", "MaxLease"}, 0, Config{}.withDefaults())
}

func TestDefaultsAreIdempotent(t *testing.T) {
	for _, c := range []Config{{}, {Mode: patterns.Leased(0, 0)}, {Tiers: ratelimiter.MustParseTiers("1/s, 2/m")}} {
		if once := c.withDefaults(); once != once.withDefaults() {
			t.Errorf("%+v: %+v", once, once.withDefaults())
		}
	}
	if leased := (Config{Mode: patterns.Leased(0, 0)}).withDefaults(); leased.LeaseFor != 200*time.Millisecond {
		t.Errorf("leased for %v", leased.LeaseFor)
	}
}

func TestWhatCannotBeChangedIsNamed(t *testing.T) {
	c := Config{Rate: ratelimiter.MustParse("10/second"), Client: offline(), Prefix: "p"}
	got := configtest.Faulty(c.successor(Config{
		Rate: c.Rate, URL: "redis://h", Prefix: "q", Algorithm: ratelimiter.SlidingLog, OnFailure: patterns.FailClosed,
	}))
	if want := []string{"Algorithm", "Client", "URL", "Prefix", "OnFailure"}; !slices.Equal(got, want) {
		t.Errorf("faults in %v, want %v", got, want)
	}
	if err := c.successor(Config{Rate: ratelimiter.MustParse("1/second"), Client: c.Client}); err != nil {
		t.Errorf("the prefix need not be said again: %v", err)
	}
}

func TestAClientThatWaitsOrTriesAgainIsFound(t *testing.T) {
	careful := redis.UniversalOptions{ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1, Addrs: []string{"127.0.0.1:1"}}
	for name, tt := range map[string]struct {
		change func(*redis.UniversalOptions)
		want   string
	}{
		"a careful one":         {func(*redis.UniversalOptions) {}, ""},
		"one that is as quick":  {func(o *redis.UniversalOptions) { o.ContextTimeoutEnabled, o.ReadTimeout = false, 50*time.Millisecond }, ""},
		"deaf to its context":   {func(o *redis.UniversalOptions) { o.ContextTimeoutEnabled, o.ReadTimeout = false, 3*time.Second }, "ContextTimeoutEnabled is off and ReadTimeout is 3s: a call is given up after 100ms, and goes on for so long"},
		"with several attempts": {func(o *redis.UniversalOptions) { o.MaxRetries, o.DialerRetries = 3, 5 }, "MaxRetries is 3: set it to -1; DialerRetries is 5: set it to 1"},
	} {
		for _, cluster := range []bool{false, true} {
			o := careful
			o.IsClusterMode = cluster
			tt.change(&o)
			c := redis.NewUniversalClient(&o)
			if got := unfit(c, defaultTimeout); got != tt.want {
				t.Errorf("%s, cluster %v: %q", name, cluster, got)
			}
			_ = c.Close()
		}
	}
	if got := unfit(offline(), defaultTimeout); got != "" {
		t.Errorf("of an unknown one: %q", got)
	}
}
