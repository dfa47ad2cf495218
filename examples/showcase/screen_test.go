package main

import (
	"os"
	"strings"
	"testing"
)

func TestOnATerminalTheTableIsDrawnOverItself(t *testing.T) {
	var out strings.Builder
	s := &screen{out: &out, live: true}
	s.show([]string{"a", "b"})
	s.show([]string{"c"})
	s.show(nil)
	if got, want := out.String(), wipe+cut+"a\nb\n"+wrap+"\x1b[2A"+wipe+cut+"c\n"+wrap+"\x1b[1A"+wipe+cut+wrap; got != want {
		t.Errorf("wrote %q, want %q", got, want)
	}
}

func TestAFileIsNoTerminal(t *testing.T) {
	f, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if s := newScreen(f); s.live || s.paint("31", "x") != "x" {
		t.Error("written to as if it were one")
	}
}

func TestEverySceneAndEveryEndHasAName(t *testing.T) {
	for s := range scenes {
		if s.String() == "" {
			t.Errorf("scene %d has no name", int(s))
		}
	}
	for e := range endings {
		if e.String() == "" {
			t.Errorf("ending %d has no name", int(e))
		}
	}
}
