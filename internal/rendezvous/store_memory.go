package rendezvous

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// MemoryStore is a Store in this process. Tests of the protocol run on it; nothing survives the process.
type MemoryStore struct {
	mu      sync.Mutex
	records map[string]Record
}

// NewMemoryStore returns an empty store.
func NewMemoryStore() *MemoryStore {
	return &MemoryStore{records: map[string]Record{}}
}

// Get is Store's.
func (m *MemoryStore) Get(ctx context.Context, key string) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrStore, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return clone(m.records[key]), nil
}

// List is Store's.
func (m *MemoryStore) List(ctx context.Context, prefix string) ([]Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStore, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []Record
	for key, record := range m.records {
		if strings.HasPrefix(key, prefix) {
			found = append(found, clone(record))
		}
	}
	slices.SortFunc(found, func(a, b Record) int { return strings.Compare(a.Key, b.Key) })
	return found, nil
}

// Put is Store's.
func (m *MemoryStore) Put(ctx context.Context, key string, value []byte, version int64) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrStore, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.records[key].Version != version {
		return 0, ErrConflict
	}
	m.records[key] = clone(Record{Key: key, Value: value, Version: version + 1})
	return version + 1, nil
}

func clone(r Record) Record {
	r.Value = slices.Clone(r.Value)
	return r
}
