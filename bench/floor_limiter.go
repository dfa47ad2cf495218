package main

import (
	"sync"
	"time"
)

// bucket is the floor of a rate limiter: the generic cell rate algorithm behind a
// sync.Mutex. Its state is one word, the time at which it is full again.
type bucket struct {
	mu     sync.Mutex
	fullAt time.Duration // since born
	born   time.Time
	rule   rule
}

// rule is how much a bucket takes and gives.
type rule struct {
	each  time.Duration // what a permit takes to come back
	burst time.Duration // what all of them take
}

func (q quota) rule() rule {
	each := q.per / time.Duration(q.count)
	return rule{each: each, burst: each * time.Duration(q.burst)}
}

// take returns what becomes of fullAt when one more passes; ok is false if none may.
func (r rule) take(fullAt, now time.Duration) (next time.Duration, ok bool) {
	next = max(fullAt, now) + r.each
	return next, next-now <= r.burst
}

func (b *bucket) allow() bool {
	b.mu.Lock()
	next, ok := b.rule.take(b.fullAt, time.Since(b.born))
	if ok {
		b.fullAt = next
	}
	b.mu.Unlock()
	return ok
}

// buckets are the floor of a keyed limiter: a map of one word a key behind one sync.Mutex.
type buckets struct {
	mu     sync.Mutex
	fullAt map[string]time.Duration
	born   time.Time
	rule   rule
}

func (b *buckets) allow(key string) bool {
	b.mu.Lock()
	next, ok := b.rule.take(b.fullAt[key], time.Since(b.born))
	if ok {
		b.fullAt[key] = next
	}
	b.mu.Unlock()
	return ok
}
