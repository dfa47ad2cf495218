// Bench measures Bulwark side by side with its rivals, in one process and in turns,
// writes what it found to results/, and says which budgets hold. README.md says how
// to run it and how to read it.
package main
