package codel

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

type instant int64

type item struct {
	id    int
	since instant
}

// queue is a FIFO queue under a CoDel.
type queue struct {
	law   CoDel[instant]
	least int // this many must be left behind an item
	items []item
}

// dequeue serves one, and returns those that were dropped on the way.
func (q *queue) dequeue(now instant) (served *int, dropped []int) {
	dropped = []int{}
	for len(q.items) > 0 {
		head := q.items[0]
		q.items = q.items[1:]
		if !q.law.Drop(now, head.since, len(q.items) < q.least) {
			return &head.id, dropped
		}
		dropped = append(dropped, head.id)
	}
	q.law.Empty()
	return nil, dropped
}

func TestCoDelFollowsTheVectorsToTheLastField(t *testing.T) {
	files, err := filepath.Glob("testdata/codel_*.json")
	if err != nil || len(files) != 3 {
		t.Fatalf("%d vectors, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { follow(t, file) })
	}
}

func follow(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Params struct {
			Target   time.Duration `json:"target_ns"`
			Interval time.Duration `json:"interval_ns"`
			Least    int           `json:"min_backlog"`
		} `json:"params"`
		Steps []struct {
			T      instant          `json:"t_ns"`
			Op     string           `json:"op"`
			Args   struct{ ID int } `json:"args"`
			Expect struct {
				Item     *int    `json:"item"`
				Dropped  []int   `json:"dropped"`
				Dropping bool    `json:"dropping"`
				Count    uint32  `json:"count"`
				DropNext instant `json:"drop_next_ns"`
				Len      int     `json:"len"`
			} `json:"expect"`
		} `json:"steps"`
	}
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	q := queue{law: CoDel[instant]{Target: v.Params.Target, Interval: v.Params.Interval}, least: v.Params.Least}
	for i, s := range v.Steps {
		e := s.Expect
		if s.Op == "enqueue" {
			q.items = append(q.items, item{s.Args.ID, s.T})
			if len(q.items) != e.Len {
				t.Fatalf("step %d: %d wait, want %d", i, len(q.items), e.Len)
			}
			continue
		}
		served, dropped := q.dequeue(s.T)
		same := (served == nil) == (e.Item == nil) && (served == nil || *served == *e.Item)
		if !same || !slices.Equal(dropped, e.Dropped) || len(q.items) != e.Len {
			t.Fatalf("step %d: served %v, dropped %v, %d wait, want %+v", i, served, dropped, len(q.items), e)
		}
		if q.law.Dropping() != e.Dropping || q.law.count != e.Count || q.law.next != e.DropNext {
			t.Fatalf("step %d: dropping %v, count %d, next %d, want %+v", i, q.law.Dropping(), q.law.count, q.law.next, e)
		}
	}
}

// A queue that is empty, or short, at least once in every Interval never drops.
func TestAShortQueueIsLeftAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const target, interval = 5, 100
		c := CoDel[instant]{Target: target, Interval: interval}
		now, good := instant(0), instant(0)
		for range rapid.IntRange(1, 200).Draw(t, "items") {
			now = min(now+instant(rapid.IntRange(0, interval).Draw(t, "pause")), good+interval-1)
			waited := rapid.IntRange(0, 1000).Draw(t, "waited")
			if now == good+interval-1 || waited < target {
				good, waited = now, min(waited, target-1)
			}
			if c.Drop(now, now-instant(waited), false) {
				t.Fatalf("dropped at %d", now)
			}
		}
	})
}

// Asking as often as one likes for an item that cannot be served changes nothing but
// when it is dropped; and Again says when that is.
func TestAgainIsWhenAnItemMayBeDropped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := CoDel[instant]{Target: 5, Interval: 100}
		now, since := instant(0), instant(0)
		last, gap := instant(0), instant(1<<60)
		for drops := 0; drops < 10; {
			if c.Drop(now, since, false) {
				if last != 0 && now-last > gap {
					t.Fatalf("drop %d comes %d after the last, and that after %d", drops, now-last, gap)
				}
				if last != 0 {
					gap = now - last
				}
				drops, last, since = drops+1, now, now-50
				continue
			}
			at := c.Again(now, since)
			if at <= now || at > now+200 {
				t.Fatalf("again at %d, and it is %d", at, now)
			}
			early := CoDel[instant](c)
			if early.Drop(now+instant(rapid.Int64Range(0, int64(at-now-1)).Draw(t, "too early")), since, false) {
				t.Fatal("dropped before Again")
			}
			now = at
		}
	})
}
