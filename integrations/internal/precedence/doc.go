// Package precedence decides how important a request is: what a header says, if one is
// configured, and no more than whoever sent it may claim. It also carries a priority through
// a context, from where requests that are made on behalf of this one take it.
package precedence
