package payload

import (
	"maps"
	"slices"
	"sync"
)

// Kept keeps what was made of some bytes, for machines that share most of what they are made of. It forgets everything
// when it holds keptMost results, so that a program that renders cluster after cluster does not grow. The zero value is
// ready to use, from several goroutines at once.
type Kept[V any] struct {
	mu   sync.Mutex
	made map[string]func() (V, error)
}

const keptMost = 256

// Get returns what is kept for key, or what build makes and is kept from then on; an error is not kept. Whoever asks for
// the same meanwhile waits for it. The key is copied.
func (k *Kept[V]) Get(key []byte, build func() (V, error)) (V, error) {
	v, err := k.once(key, build)()
	if err != nil {
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.made, string(key))
	}
	return v, err
}

// Load returns what is kept for key, if anything is.
func (k *Kept[V]) Load(key []byte) (v V, known bool) {
	k.mu.Lock()
	made, known := k.made[string(key)]
	k.mu.Unlock()
	if !known {
		return v, false
	}
	v, err := made()
	return v, err == nil
}

// Store keeps a result for key, unless one is kept already. The key is copied.
func (k *Kept[V]) Store(key []byte, v V) {
	_, _ = k.once(key, func() (V, error) { return v, nil })() // whichever is kept is as good
}

// Find returns a result that matches, if any does.
func (k *Kept[V]) Find(matches func(V) bool) (found V, ok bool) {
	k.mu.Lock()
	all := slices.Collect(maps.Values(k.made))
	k.mu.Unlock()
	for _, made := range all {
		if v, err := made(); err == nil && matches(v) {
			return v, true
		}
	}
	return found, false
}

func (k *Kept[V]) once(key []byte, build func() (V, error)) func() (V, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if made, known := k.made[string(key)]; known {
		return made
	}
	if k.made == nil || len(k.made) == keptMost {
		k.made = map[string]func() (V, error){}
	}
	made := sync.OnceValues(build)
	k.made[string(key)] = made
	return made
}
