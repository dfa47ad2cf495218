// Package store keeps rate limits in Redis: it asks for many decisions in one call of a
// script, and says what each came to. It knows nothing of actors, queues or policies.
//
// A [Store] may be used by any number of goroutines. Each [Store.Run] is one round trip
// to each server that holds some of its keys, whatever the number of checks. What is
// decided is decided on the server, by its clock in microseconds and in whole numbers;
// requests for the same key are decided one after the other in the order they were given.
package store
