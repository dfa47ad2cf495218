package cgroup

import (
	"encoding/json"
	"math"
	"os"
	"reflect"
	"testing"

	"github.com/bulwark-go/bulwark/patterns"
)

type step struct {
	T      patterns.Instant `json:"t_ns"`
	Op     string
	Args   map[string]any
	Expect map[string]any
}

func (s step) text(arg string) []byte { text, _ := s.Args[arg].(string); return []byte(text) }
func (s step) count(arg string) uint64 {
	n, _ := s.Args[arg].(float64)
	return uint64(n)
}

func readVector(t *testing.T, file string, params any) (steps []step) {
	t.Helper()
	v := struct{ Params, Steps any }{params, &steps}
	text, err := os.ReadFile("testdata/" + file)
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return steps
}

// parsed are the parsers by the names that the vectors have for them.
var parsed = map[string]func(step) (map[string]any, error){
	"cpu_max_v2": func(s step) (map[string]any, error) {
		return quota(ParseCPUMax(s.text("text")))
	},
	"cpu_quota_v1": func(s step) (map[string]any, error) {
		return quota(ParseCFS(s.text("quota"), s.text("period")))
	},
	"cpuset": func(s step) (map[string]any, error) {
		n, err := CountCPUs(s.text("text"))
		return map[string]any{"cpus": float64(n)}, err
	},
	"stat_key": func(s step) (map[string]any, error) {
		n, err := Stat(s.text("text"), string(s.text("key")))
		return map[string]any{"value": float64(n)}, err
	},
	"mem_limit": func(s step) (map[string]any, error) {
		limit, limited, err := MemoryLimit(s.text("text"), s.count("host_bytes"))
		return map[string]any{"limit": float64(limit), "limited": limited}, err
	},
	"working_set": func(s step) (map[string]any, error) {
		return map[string]any{"bytes": float64(WorkingSet(s.count("current"), s.count("inactive_file")))}, nil
	},
	"proc_cgroup": func(s step) (map[string]any, error) {
		m, err := ParseMembership(s.text("text"))
		if m.Version() == 2 {
			return map[string]any{"version": 2.0, "path": m.Unified}, err
		}
		orNull := func(path string) any {
			if path == "" {
				return nil
			}
			return path
		}
		return map[string]any{"version": float64(m.Version()), "cpu": orNull(m.CPU), "memory": orNull(m.Memory), "cpuset": orNull(m.CPUSet)}, err
	},
	"psi": func(s step) (map[string]any, error) {
		p, err := ParsePSI(s.text("text"))
		stall := func(s Stall) map[string]any {
			return map[string]any{"avg10": s.Avg10, "avg60": s.Avg60, "avg300": s.Avg300, "total": float64(s.Total)}
		}
		got := map[string]any{"some": stall(p.Some)}
		if p.HasFull {
			got["full"] = stall(p.Full)
		}
		return got, err
	},
}

func quota(q Quota, err error) (map[string]any, error) {
	if !q.Limited() {
		return map[string]any{"unlimited": true}, err
	}
	return map[string]any{"cores": q.Cores()}, err
}

func TestFilesMeanWhatTheVectorsSay(t *testing.T) {
	steps := readVector(t, "cgroup_parse.json", &struct{}{})
	if len(steps) != 66 {
		t.Fatalf("%d steps", len(steps))
	}
	for i, s := range steps {
		parse := parsed[s.Op]
		if parse == nil {
			t.Fatalf("step %d: unknown op %q", i, s.Op)
		}
		got, err := parse(s)
		if s.Expect["error"] == true {
			if err == nil {
				t.Errorf("step %d %s %q: no error, but %v", i, s.Op, s.Args, got)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, s.Expect) {
			t.Errorf("step %d %s %q: %v, %v, want %v", i, s.Op, s.Args, got, err, s.Expect)
		}
	}
}

func TestCPUShareFollowsTheVectors(t *testing.T) {
	var params struct {
		Limit float64 `json:"limit_cores"`
	}
	steps := readVector(t, "cpu_percent.json", &params)
	if len(steps) != 120 || params.Limit != 2 {
		t.Fatalf("%d steps of %v cores", len(steps), params.Limit)
	}
	var m Meter
	for i, s := range steps {
		raw, ok := m.Sample(s.T, s.count("usage_ns"), params.Limit)
		for field, got := range map[string]float64{"raw": raw, "used": min(raw, 1)} {
			want, wanted := s.Expect[field].(float64)
			if ok != wanted || ok && math.Abs(got-want) > 1e-9*math.Abs(want) {
				t.Fatalf("step %d %+v: %s = %v, %v", i, s, field, got, ok)
			}
		}
		if s.Op != "sample" || len(s.Expect) != 2 {
			t.Fatalf("step %d is not understood: %+v", i, s)
		}
	}
}
