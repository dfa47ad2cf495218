// Package paths says which requests no guard is asked about, by their path.
package paths
