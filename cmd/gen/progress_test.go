package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// TestProgress: nothing is drawn in the first second or away from a terminal, and the line is taken away in the end.
func TestProgress(t *testing.T) {
	var out bytes.Buffer
	early := &progress{w: &out, begin: time.Now()}
	early.of("documents")(1, 2)
	early.clear()
	newProgress(&out).of("documents")(1, 2)
	if out.Len() > 0 {
		t.Errorf("drew %q", out.String())
	}
	late := &progress{w: &out, begin: time.Now().Add(-time.Minute)}
	late.of("documents")(500, 1000)
	late.of("documents")(501, 1000) // too soon after the last
	late.clear()
	want := "\r\x1b[Kgen: documents [" + strings.Repeat("#", 15) + strings.Repeat(".", 15) + "] 500 of 1000\r\x1b[K"
	if out.String() != want {
		t.Errorf("drew %q, want %q", out.String(), want)
	}
}
