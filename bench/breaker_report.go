package main

// breakerBudgets are those of DESIGN.md, section 9, that speak of breakers.
func breakerBudgets() []budget {
	const closed, loop = "breaker/closed", "breaker/loop"
	var all []budget
	// compare adds: the metric of subject is at most (or least) limit times that of rival.
	compare := func(c string, g int, subject string, m metric, is relation, limit float64, rival string) {
		all = append(all, budget{
			of: point{c, subject, g}, metric: m, is: is, limit: limit, to: point{c, rival, g}, compare: ratio,
		})
	}

	compare(closed, 1, "bulwark", nsPerOp, atMost, 0.8, "gobreaker")
	for _, g := range []int{64, 1024} {
		compare(closed, g, "bulwark", nsPerOp, atMost, 0.65, "gobreaker")
		compare(closed, g, "bulwark", nsPerOp, atMost, 1, "failsafe")
	}
	for _, g := range []int{1, 64, 1024} {
		all = append(all, budget{of: point{closed, "bulwark", g}, metric: allocsPerOp, is: atMost, limit: 0, round: 0.01})
	}
	all = append(all, budget{
		what: "times faster than ask",
		of:   point{closed, "ask", 1}, metric: nsPerOp, is: atLeast, limit: 25, to: point{closed, "bulwark", 1}, compare: ratio,
	})
	for _, g := range []int{2, 4, 64} {
		tail := map[int]float64{2: 1, 4: 1, 64: 0.5}[g]
		compare(loop, g, "bulwark", opsPerS, atLeast, 1.4, "gobreaker")
		compare(loop, g, "bulwark", opsPerS, atLeast, 0.85, "mutex")
		compare(loop, g, "bulwark", p99, atMost, tail, "gobreaker")
		compare(loop, g, "bulwark", p999, atMost, tail, "gobreaker")
	}

	compare(closed, 1, "bulwark-leased", nsPerOp, atMost, 0.3, "gobreaker")
	for _, g := range []int{64, 1024} {
		compare(closed, g, "bulwark-leased", nsPerOp, atMost, 0.05, "gobreaker")
		compare(closed, g, "bulwark-leased", nsPerOp, atMost, 0.15, "mutex")
	}
	compare(loop, 2, "bulwark-leased", opsPerS, atLeast, 0.9, "mutex")
	compare(loop, 64, "bulwark-leased", opsPerS, above, 1, "mutex")
	for _, g := range []int{2, 4, 64} {
		compare(loop, g, "bulwark-leased", p999, atMost, 1, "mutex")
	}

	return append(all,
		budget{of: point{"breaker/memory", "bulwark", 1}, metric: retainedBytes, is: atMost, limit: 2048},
		budget{
			what: "ns more with one listener",
			of:   point{"breaker/subscriber", "bulwark", 1}, metric: nsPerOp, is: atMost, limit: 30,
			to: point{closed, "bulwark", 1}, compare: difference,
		},
	)
}

func breakerFigures() []figure {
	var subjects []string
	for _, m := range makers() {
		subjects = append(subjects, m.name)
	}
	return []figure{{
		file: "breaker.svg", title: "Circuit breakers: time of a guarded call, and throughput in a closed loop",
		panels: []panel{
			{
				title: "ns per guarded call (less is better)", c: "breaker/closed", metric: nsPerOp, unit: 1,
				subjects: subjects, groups: []int{1, 64}, callers: "goroutine", beyond: "ask",
			},
			{
				title: "closed loop, million calls/s (more is better)", c: "breaker/loop", metric: opsPerS, unit: 1e6,
				subjects: subjects, groups: []int{2, 64}, callers: "caller",
			},
		},
	}}
}
