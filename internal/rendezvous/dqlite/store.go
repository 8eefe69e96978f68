//go:build libsqlite3

package dqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"muster/internal/rendezvous"
)

// opTimeout bounds one call of the store: an election takes seconds, and clients ask again.
const opTimeout = 10 * time.Second

// Store is rendezvous.Store on the replicated database.
type Store struct {
	db      *sql.DB
	mu      sync.Mutex
	created bool
}

// Store is the store of this member. It is one per Node.
func (n *Node) Store() *Store { return &Store{db: n.db} }

// Every write names its writer by a number drawn for that one write. database/sql repeats a statement whose connection
// died although it may have been committed, and so does Put itself: the second run then finds the first one's number.
const schema = `CREATE TABLE IF NOT EXISTS records (
	key TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL, version INTEGER NOT NULL, writer TEXT NOT NULL) WITHOUT ROWID`

func (s *Store) create(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.created {
		return nil
	}
	if _, err := s.db.ExecContext(ctx, schema); err != nil {
		return err
	}
	s.created = true
	return nil
}

// again runs do until it succeeds, returns ErrConflict, or time is up: a table that is locked, or a store without a
// leader, may be usable a moment later.
func (s *Store) again(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	pause := 5 * time.Millisecond
	for {
		err := s.create(ctx)
		if err == nil {
			err = do(ctx)
		}
		if err == nil || errors.Is(err, rendezvous.ErrConflict) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", rendezvous.ErrStore, err)
		case <-time.After(pause):
		}
		pause = min(2*pause, 500*time.Millisecond)
	}
}

// Get is rendezvous.Store's.
func (s *Store) Get(ctx context.Context, key string) (rendezvous.Record, error) {
	record := rendezvous.Record{}
	err := s.again(ctx, func(ctx context.Context) error {
		record = rendezvous.Record{}
		err := s.db.QueryRowContext(ctx, "SELECT key, value, version FROM records WHERE key = ?", key).Scan(&record.Key, &record.Value, &record.Version)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return record, err
}

// List is rendezvous.Store's.
func (s *Store) List(ctx context.Context, prefix string) ([]rendezvous.Record, error) {
	var records []rendezvous.Record
	err := s.again(ctx, func(ctx context.Context) (err error) {
		records = nil
		rows, err := s.db.QueryContext(ctx, "SELECT key, value, version FROM records WHERE substr(key, 1, length(?1)) = ?1 ORDER BY key", prefix)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		for rows.Next() {
			var r rendezvous.Record
			if err := rows.Scan(&r.Key, &r.Value, &r.Version); err != nil {
				return err
			}
			records = append(records, r)
		}
		return rows.Err()
	})
	return records, err
}

// Put is rendezvous.Store's.
func (s *Store) Put(ctx context.Context, key string, value []byte, version int64) (int64, error) {
	draw := make([]byte, 16)
	if _, err := rand.Read(draw); err != nil {
		return 0, fmt.Errorf("%w: no randomness: %w", rendezvous.ErrStore, err)
	}
	writer := hex.EncodeToString(draw)
	if value == nil {
		value = []byte{}
	}
	err := s.again(ctx, func(ctx context.Context) error {
		result, err := s.write(ctx, key, value, version, writer)
		if err != nil {
			return err
		}
		changed, err := result.RowsAffected()
		if err != nil || changed == 1 {
			return err
		}
		return s.written(ctx, key, version+1, writer)
	})
	if err != nil {
		return 0, err
	}
	return version + 1, nil
}

func (s *Store) write(ctx context.Context, key string, value []byte, version int64, writer string) (sql.Result, error) {
	if version == 0 {
		return s.db.ExecContext(ctx, "INSERT INTO records (key, value, version, writer) VALUES (?, ?, 1, ?) ON CONFLICT (key) DO NOTHING", key, value, writer)
	}
	return s.db.ExecContext(ctx, "UPDATE records SET value = ?, version = version + 1, writer = ? WHERE key = ? AND version = ?", value, writer, key, version)
}

// written tells a write that an earlier run of the same statement made from one that lost to another writer.
func (s *Store) written(ctx context.Context, key string, version int64, writer string) error {
	var have int64
	var by string
	err := s.db.QueryRowContext(ctx, "SELECT version, writer FROM records WHERE key = ?", key).Scan(&have, &by)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return rendezvous.ErrConflict
	case err != nil:
		return err
	case have == version && by == writer:
		return nil
	}
	return rendezvous.ErrConflict
}
