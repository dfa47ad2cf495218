// Package redisserver starts Redis on free ports of this machine, breaks it in the ways in
// which it breaks, and leaves nothing behind: a single server, a Cluster, a pair watched
// by Sentinel. Nothing is persisted.
//
// Every server has a janitor, a shell that waits for this process to end. However that
// happens, the server is killed and its directory removed.
//
// It is for tests, examples and measurements: what a user builds never has it.
package redisserver
