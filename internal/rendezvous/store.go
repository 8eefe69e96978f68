package rendezvous

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"time"
)

// Store is the replicated memory of the control planes: versioned records with one kind of write, the conditional one.
// Every decision of the protocol is one such write, so that a stale read can delay a decision but never make one.
//
// Calls may be made from many goroutines. Errors are ErrConflict, or wrap ErrStore.
type Store interface {
	// Get returns the record of key, and the zero Record when there is none. It may be stale.
	Get(ctx context.Context, key string) (Record, error)
	// List returns the records whose key begins with prefix, sorted by key. It may be stale.
	List(ctx context.Context, prefix string) ([]Record, error)
	// Put writes value if the record still has the version (0: does not exist yet) and returns the new version, which
	// is higher. ErrConflict: it has another version now. Any other error leaves open whether the write happened; a
	// write that the implementation itself repeats counts as done once.
	Put(ctx context.Context, key string, value []byte, version int64) (int64, error)
}

// Record is one value of the store. Version grows with every write of the key.
type Record struct {
	Key     string
	Value   []byte
	Version int64
}

// ErrConflict says that a record has another version than the writer saw.
var ErrConflict = errors.New("the record was changed by another writer")

// ErrStore says that the store did not answer, or not in time; a write may have happened all the same.
var ErrStore = errors.New("the store does not answer")

// The keys of the store.
const (
	keyCluster = "cluster"
	keyInit    = "lease/init"
	keyJoin    = "lease/join"
	nodePrefix = "node/"
	poolPrefix = "pool/"
	// memberPrefix keeps where each member of the store listens.
	memberPrefix = "member/"
)

// load reads and decodes one record; a missing one leaves the zero value.
func load[T any](ctx context.Context, s Store, key string) (T, int64, error) {
	var value T
	record, err := s.Get(ctx, key)
	if err != nil {
		return value, 0, storeError(err)
	}
	if record.Version == 0 {
		return value, 0, nil
	}
	if err := json.Unmarshal(record.Value, &value); err != nil {
		return value, 0, Errorf(CodeInternal, "the record %s cannot be read: %w", key, err)
	}
	return value, record.Version, nil
}

// update applies change to the record of key until its conditional write succeeds. change sees the record as it is and
// its version, says whether to write, and is called again after every conflict, so it must decide from its arguments
// alone. With an error of change the value is returned with it, unwritten. After a conflict it pauses, longer each time, so
// that hundreds that want one record get it one after the other.
func update[T any](ctx context.Context, s Store, key string, change func(value *T, version int64) (bool, error)) (T, error) {
	for attempt := range casAttempts {
		value, version, err := load[T](ctx, s, key)
		if err != nil {
			return value, err
		}
		write, err := change(&value, version)
		if err != nil || !write {
			return value, err
		}
		data, err := json.Marshal(value)
		if err != nil {
			return value, Errorf(CodeInternal, "the record %s cannot be written: %w", key, err)
		}
		_, err = s.Put(ctx, key, data, version)
		if err == nil {
			return value, nil
		}
		if !errors.Is(err, ErrConflict) {
			return value, storeError(err)
		}
		select {
		case <-ctx.Done():
			return value, storeError(ctx.Err())
		case <-time.After(rand.N(time.Duration(attempt+1) * casPause)):
		}
	}
	var zero T
	return zero, Errorf(CodeConflict, "%s is being changed by others: ask again", key)
}

func storeError(err error) error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return Caused(CodeUnavailable, err, "the store does not answer: ask again, or another control plane").retryAfter(retryStore)
}
