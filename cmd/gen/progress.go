package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"muster/internal/terminal"
)

// patience is how long a run may take before it shows how far it is, and the shortest time between two looks.
const (
	patience = time.Second
	redraw   = 100 * time.Millisecond
)

// barWidth is in characters.
const barWidth = 30

// progress draws one line at a terminal. The zero value draws nothing. Its methods may be called from many goroutines.
type progress struct {
	w     io.Writer
	begin time.Time

	mu    sync.Mutex
	drawn time.Time
}

// newProgress draws at w, if that is a terminal.
func newProgress(w io.Writer) *progress {
	if !terminal.Is(w) {
		return &progress{}
	}
	return &progress{w: w, begin: time.Now()}
}

// of returns what a stage reports to.
func (p *progress) of(stage string) func(done, all int) {
	return func(done, all int) {
		p.mu.Lock()
		defer p.mu.Unlock()
		now := time.Now()
		if p.w == nil || now.Sub(p.begin) < patience || now.Sub(p.drawn) < redraw {
			return
		}
		p.drawn = now
		full := barWidth * done / max(all, 1)
		fmt.Fprintf(p.w, "\r\x1b[Kgen: %s [%s%s] %d of %d", stage, strings.Repeat("#", full), strings.Repeat(".", barWidth-full), done, all)
	}
}

// clear takes the line away, before anything else is written.
func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.drawn.IsZero() {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.drawn = time.Time{}
	}
}
