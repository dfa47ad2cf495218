// Package reasons proves that every reason with which a guard refuses can happen, is
// documented in docs/operations.md, and reaches the caller as it is said to. The package has
// tests only.
package reasons
