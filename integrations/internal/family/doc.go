// Package family keeps a guard, or what goes with one, for each of several things, such as the
// hosts or methods that a client calls. Each is made when it is first needed. What is called
// can depend on what others sent, so there are only so many. Once there are, either all that
// come later share one, or that which was not used for longest is forgotten.
package family
