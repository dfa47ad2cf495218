// Package clientip finds out who sent a request: the peer of the connection, or whoever a
// trusted proxy says it got the request from.
//
// A header that names a client is worth as much as whoever wrote it. So it is read from its
// end, where the nearest proxy wrote, and only as far as proxies are trusted: the client is
// the last hop that is not one of them. What stands before that anybody may have made up.
package clientip
