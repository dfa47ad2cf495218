// Package keyed holds a few words of state for each of up to millions of keys, in
// memory that the garbage collector does not scan and that grows and shrinks a page at a
// time: no step takes longer than it takes to split a page, however many keys there are.
//
// It is extendible hashing. The highest bits of a key's fingerprint index a directory
// of pages; a page is a small table of its own, searched from where the lowest bits say.
// A page that is full splits in two, and the directory doubles, which copies pointers
// only, when it has no bit left to tell the halves apart.
package keyed
