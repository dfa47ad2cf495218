// Package refusal says how an error of a guard looks to a remote client: of what kind it is,
// and when to come again. Nothing else of the error ever leaves the process.
package refusal
