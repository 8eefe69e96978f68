package main

import (
	"bytes"
	"os"
	"testing"
)

// TestStyle: nothing secret of a spec's lines is shown on a terminal, for which every character device is taken here.
func TestStyle(t *testing.T) {
	terminal, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	o := options{stderr: terminal}
	shown := o.style(map[string][]byte{"c.yaml": []byte("users: [{name: a, passwordHash: hunter2}]\n")}).Source["c.yaml"]
	if bytes.Contains(shown, []byte("hunter2")) || !bytes.Contains(shown, []byte("name: a, passwordHash: *******}]")) {
		t.Errorf("shows %s", shown)
	}
}
