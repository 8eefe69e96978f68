package formation

import (
	"context"
	"fmt"
	"sync"

	"muster/internal/rendezvous"
)

// LateStore is a store that does not answer until there is one.
type LateStore struct {
	mu    sync.RWMutex
	store rendezvous.Store
}

func (l *LateStore) set(s rendezvous.Store) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.store = s
}

func (l *LateStore) get() (rendezvous.Store, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.store == nil {
		return nil, fmt.Errorf("%w: it is being formed", rendezvous.ErrStore)
	}
	return l.store, nil
}

// Get is rendezvous.Store's.
func (l *LateStore) Get(ctx context.Context, key string) (rendezvous.Record, error) {
	s, err := l.get()
	if err != nil {
		return rendezvous.Record{}, err
	}
	return s.Get(ctx, key)
}

// List is rendezvous.Store's.
func (l *LateStore) List(ctx context.Context, prefix string) ([]rendezvous.Record, error) {
	s, err := l.get()
	if err != nil {
		return nil, err
	}
	return s.List(ctx, prefix)
}

// Put is rendezvous.Store's.
func (l *LateStore) Put(ctx context.Context, key string, value []byte, version int64) (int64, error) {
	s, err := l.get()
	if err != nil {
		return 0, err
	}
	return s.Put(ctx, key, value, version)
}
