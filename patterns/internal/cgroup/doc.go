// Package cgroup says what the kernel's files about a control group mean: contents go
// in, numbers come out, and nothing here opens a file. A number that a file does not
// hold is an error, never 0. The arithmetic on two readings of a counter is here too.
//
// The files are described in the kernel's Documentation/admin-guide/cgroup-v2.rst and
// cgroup-v1/, and in accounting/psi.rst.
package cgroup
