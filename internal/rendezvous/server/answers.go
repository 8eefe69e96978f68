package server

import (
	"cmp"
	"maps"
	"slices"
	"sync"
)

// answers counts answers by HTTP status.
type answers struct {
	mu     sync.Mutex
	counts map[int]int64
}

func (a *answers) count(status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.counts == nil {
		a.counts = map[int]int64{}
	}
	a.counts[status]++
}

func (a *answers) all() map[int]int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.counts)
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}
