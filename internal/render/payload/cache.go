package payload

import (
	"maps"
	"slices"
	"sync"
)

// Cache keeps what was made of some bytes, for machines that share most of what they are made of. It forgets everything
// when it holds cacheSize results, so that a program that renders cluster after cluster does not grow. The zero value is
// ready to use, from several goroutines at once.
type Cache[V any] struct {
	mu   sync.Mutex
	made map[string]func() (V, error)
}

const cacheSize = 256

// Get returns what is kept for key, or what build makes and is kept from then on; an error is not kept. Whoever asks for
// the same meanwhile waits for it. The key is copied.
func (c *Cache[V]) Get(key []byte, build func() (V, error)) (V, error) {
	v, err := c.once(key, build)()
	if err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.made, string(key))
	}
	return v, err
}

// Load returns what is kept for key, if anything is.
func (c *Cache[V]) Load(key []byte) (v V, known bool) {
	c.mu.Lock()
	made, known := c.made[string(key)]
	c.mu.Unlock()
	if !known {
		return v, false
	}
	v, err := made()
	return v, err == nil
}

// Store keeps a result for key, unless one is kept already. The key is copied.
func (c *Cache[V]) Store(key []byte, v V) {
	_, _ = c.once(key, func() (V, error) { return v, nil })() // whichever is kept is as good
}

// Find returns a result that matches, if any does.
func (c *Cache[V]) Find(matches func(V) bool) (found V, ok bool) {
	c.mu.Lock()
	all := slices.Collect(maps.Values(c.made))
	c.mu.Unlock()
	for _, made := range all {
		if v, err := made(); err == nil && matches(v) {
			return v, true
		}
	}
	return found, false
}

func (c *Cache[V]) once(key []byte, build func() (V, error)) func() (V, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if made, known := c.made[string(key)]; known {
		return made
	}
	if c.made == nil || len(c.made) == cacheSize {
		c.made = map[string]func() (V, error){}
	}
	made := sync.OnceValues(build)
	c.made[string(key)] = made
	return made
}
