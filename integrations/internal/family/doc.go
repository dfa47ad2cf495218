// Package family keeps a guard for each of several things, such as the hosts or methods that a
// client calls. Each is made when it is first needed. What is called can depend on what others
// sent, so there are only so many: all that come later share one.
package family
