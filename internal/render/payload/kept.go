package payload

import "sync"

// Kept keeps what was made of a key, for machines that share most of what they are made of. It forgets everything when it
// holds keptMost results, so that a program that renders cluster after cluster does not grow. The zero value is ready to
// use, from several goroutines at once.
type Kept[K comparable, V any] struct {
	mu   sync.Mutex
	made map[K]V
}

const keptMost = 64

// Get returns what is kept for key, or what build makes and is kept from then on; an error is not kept. Whoever asks
// meanwhile waits, since most of them want the same.
func (k *Kept[K, V]) Get(key K, build func() (V, error)) (V, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if v, known := k.made[key]; known {
		return v, nil
	}
	v, err := build()
	if err != nil {
		return v, err
	}
	if k.made == nil || len(k.made) == keptMost {
		k.made = map[K]V{}
	}
	k.made[key] = v
	return v, nil
}
