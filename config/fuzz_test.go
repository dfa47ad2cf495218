package config

import (
	"os"
	"strings"
	"testing"
)

// FuzzParse: whatever the bytes, there is an error or a File, never a panic; and what a
// File has is valid, and its pipelines have parts.
func FuzzParse(f *testing.F) {
	example, err := os.ReadFile(examplePage)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example, "BULWARK_GUARDS_PAYMENTS_OPEN_FOR=10s")
	for section := range sections() {
		f.Add([]byte("guards: { x: { "+section+" } }\npipelines: { p: [ x ], q: [ p ] }"), "BULWARK_GUARDS_X_MODE=leased")
	}
	f.Add([]byte("{\"guards\": {\"a\": {\"bulkhead\": {\"max_wait\": \"1s\"}}}}\t"), "BULWARK_GUARDS_A_MAX_WAITING={a: [1]}")
	f.Add([]byte("guards: &a { x: { <<: *a } }\n--- !!map\n? [a]\n: !x |\n  y"), "")
	f.Fuzz(func(t *testing.T, data []byte, variable string) {
		file, err := Parse(data, Environ(variable))
		if (file == nil) == (err == nil) {
			t.Fatalf("%v, %v", file, err)
		}
		if err != nil {
			if err.Error() == "" {
				t.Errorf("%q", err)
			}
			return
		}
		known := map[string]bool{}
		for name, c := range file.Guards() {
			if badName(name) != "" || c.(config).Validate() != nil {
				t.Errorf("guard %q: %+v", name, c)
			}
			known[name] = true
		}
		for _, p := range file.pipelines {
			for _, part := range p.parts {
				if !known[part] {
					t.Errorf("pipeline %s has %s before it is there", p.name, part)
				}
			}
			if known[p.name] || len(p.parts) == 0 || strings.TrimSpace(p.name) == "" {
				t.Errorf("pipeline %q of %v", p.name, p.parts)
			}
			known[p.name] = true
		}
		if len(known) == 0 {
			t.Error("it declares nothing")
		}
	})
}
