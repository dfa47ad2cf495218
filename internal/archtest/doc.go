// Package archtest keeps the shape of the repository: it reads the source of every
// module here and fails where a rule is broken, with what to do instead. Each rule is
// one file: purity_test.go, arrows_test.go, state_test.go, sleep_test.go and
// size_test.go. rules_test.go feeds each rule sources that break it.
//
// Directives: //bulwark:bubble in the doc comment of a test helper says that it is
// only called inside synctest bubbles, where sleeping takes no time, or that it runs
// the function it is given in one.
package archtest
