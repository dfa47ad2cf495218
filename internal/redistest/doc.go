// Package redistest gives tests real Redis servers, and ways to break them.
//
//	var servers redistest.Servers
//
//	func TestMain(m *testing.M) { servers.Main(m) }
//
//	func TestX(t *testing.T) {
//		rdb := redis.NewClient(&redis.Options{Addr: servers.Single(t).Addr()}) // shared: use keys of your own
//		own := redistest.Start(t)                                              // to be broken
//		wire := redistest.NewProxy(t, own.Addr())                              // to be cut
//	}
//
// BULWARK_REDIS_URL has Single return a server that runs already; nothing is ever flushed there.
// Where there is no redis-server, tests fail and say what to install. With -short, or where
// only the URL is given, those that start servers are left out, and say so.
package redistest
