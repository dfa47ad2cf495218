package redislimiter

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const maxConnections = 16

// parse makes options for a client of a URL, or says all that is wrong with it. It never
// quotes a password.
func parse(text string) (o *redis.UniversalOptions, problems []string) {
	if !strings.HasPrefix(text, "redis://") && !strings.HasPrefix(text, "rediss://") {
		return nil, []string{"must begin with redis:// or rediss://, such as redis://user:password@host:6379/0"}
	}
	u, hosts, err := split(text)
	if err != nil {
		return nil, []string{"cannot be read as redis://user:password@host:6379/0"}
	}
	if strings.Contains(u.Path+u.Fragment, "@") || strings.Contains(u.RawQuery, "@") {
		return nil, []string{"has an @ behind a /, ? or #: in a user or password write those as %2F, %3F and %23"}
	}
	find := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Sprintf(format, args...))
		}
	}
	o = &redis.UniversalOptions{Username: u.User.Username()}
	o.Password, _ = u.User.Password()
	find(u.Fragment == "" && u.Opaque == "", "has more than a host, a database and options")
	for host := range strings.SplitSeq(hosts, ",") {
		address, problem := withPort(host)
		find(problem == "", "%s", problem)
		o.Addrs = append(o.Addrs, address)
	}
	if u.Scheme == "rediss" {
		name, _, _ := net.SplitHostPort(o.Addrs[0])
		o.TLSConfig = &tls.Config{ServerName: name, MinVersion: tls.VersionTLS12}
	}
	if db := strings.Trim(u.Path, "/"); db != "" {
		n, err := strconv.Atoi(db)
		find(err == nil && n >= 0, "the database %q is no number", db)
		o.DB = n
	}
	for key, values := range u.Query() {
		switch value := values[len(values)-1]; key {
		case "cluster":
			cluster, err := strconv.ParseBool(value)
			find(err == nil, "cluster=%q is neither true nor false", value)
			o.IsClusterMode = cluster
		case "master":
			find(value != "", "master has no name")
			o.MasterName = value
		default:
			find(false, "has the option %q: there are cluster and master", key)
		}
	}
	find(!o.IsClusterMode || o.MasterName == "", "cannot be both a cluster and watched by sentinels")
	find(!o.IsClusterMode || o.DB == 0, "a cluster has no database but 0")
	find(len(o.Addrs) == 1 || o.IsClusterMode || o.MasterName != "", "has several hosts: add ?cluster=true, or ?master=name for sentinels")
	return o, problems
}

// split takes the hosts, of which there may be several with ports, out of a URL.
func split(text string) (u *url.URL, hosts string, err error) {
	scheme, rest, _ := strings.Cut(text, "://")
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	who := strings.LastIndex(rest[:end], "@") + 1
	u, err = url.Parse(scheme + "://" + rest[:who] + "hosts" + rest[end:])
	return u, rest[who:end], err
}

// withPort returns a host with its port.
func withPort(host string) (address, problem string) {
	if host == "" {
		return "", "has no host"
	}
	h, port, err := net.SplitHostPort(host)
	if err != nil {
		h, port = strings.Trim(host, "[]"), "6379"
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return "", fmt.Sprintf("the port %q is none", port)
	}
	if h == "" || strings.ContainsFunc(h, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return "", "has no proper host"
	}
	return net.JoinHostPort(h, port), ""
}

// hidden returns a URL without its password, and without options, where somebody may have put
// it too. What is no URL may have one in it all the same.
func hidden(text string) string {
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		scheme, rest = "", text
	} else {
		scheme += "://"
	}
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		user, _, secret := strings.Cut(rest[:at], ":")
		if secret {
			user += ":xxxxx"
		}
		rest = user + rest[at:]
	}
	rest, _, options := strings.Cut(rest, "?")
	if options {
		rest += "?…"
	}
	return scheme + rest
}

// dial makes a client of a valid URL. It does not connect yet. What fails is not tried
// again: the limiter has a policy for that.
func dial(text string, timeout time.Duration) redis.UniversalClient {
	o, _ := parse(text)
	o.ContextTimeoutEnabled = true
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = timeout, timeout, timeout, timeout
	o.MaxRetries, o.DialerRetries = -1, 1 // refused connections would be tried until the timeout
	o.PoolSize = maxConnections
	return redis.NewUniversalClient(o)
}
