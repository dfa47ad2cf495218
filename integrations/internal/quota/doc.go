// Package quota tells clients how much of a rate they have left: the RateLimit-Policy and
// RateLimit headers of the IETF's draft (draft-ietf-httpapi-ratelimit-headers), and the
// X-RateLimit ones that came before.
package quota
