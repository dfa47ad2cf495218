// Package modgraph keeps what a user's program gets with Bulwark: the modules that end up in a
// program that imports one pattern, and those that its go command has to know of. The package
// has tests only.
package modgraph
