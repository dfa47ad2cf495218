package main

import (
	"strings"
	"testing"
	"time"

	"github.com/bulwark-go/bulwark/examples/internal/process"
)

func TestClientsOfAllFrameworksAreToldTheSame(t *testing.T) {
	r := process.Run(t, time.Minute, process.Build(t))
	var want strings.Builder
	want.WriteString("The bank is down. After two failures nobody asks it for a minute, in whatever framework.\n")
	for _, f := range []string{"chi", "gin", "echo", "fiber"} {
		want.WriteString("\n" + f + "\n")
		for _, line := range []string{
			`  /pay     502 Bad Gateway, *`,
			`  /pay     502 Bad Gateway, *`,
			`  /pay     503 Service Unavailable, application/problem+json; come again in 60 s`,
			`  /health  200 OK, *`,
		} {
			want.WriteString(line + "\n")
		}
	}
	got := strings.NewReplacer("text/plain; charset=utf-8", "*", "text/plain; charset=UTF-8", "*", "application/json", "*", "text/plain", "*").Replace(r.Stdout)
	if r.Exit != 0 || got != want.String() {
		t.Errorf("exit status %d, output:\n%s\nwant:\n%s\nlog:\n%s", r.Exit, r.Stdout, want.String(), r.Stderr)
	}
	t.Log("ran for", r.Took)
}
