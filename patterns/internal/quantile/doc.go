// Package quantile estimates how long the slow ones take: quantiles of durations, from
// estimates that are small and cost nanoseconds.
//
// Use a Recent for what the last while was like, a Histogram for what is counted and then
// forgotten at once, and P2 where there are very many of them and each may only have a
// hundred bytes.
package quantile
