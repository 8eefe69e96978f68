// Package storetest owns the one suite that every rendezvous.Store has to pass. It must not know any implementation.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"muster/internal/rendezvous"
)

// Run tests the contract. open returns an empty store that is the test's own.
func Run(t *testing.T, open func(t *testing.T) rendezvous.Store) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s rendezvous.Store)
	}{
		{"a missing record is zero", missing},
		{"a record is created once", createdOnce},
		{"a write needs the version it saw", versioned},
		{"versions grow and are never used again", versionsGrow},
		{"a list is a prefix, sorted", listed},
		{"prefixes are no patterns", noPatterns},
		{"values are bytes", bytesSurvive},
		{"one of many writers of one version wins", oneWinner},
		{"no increment is lost among writers", noLostUpdate},
		{"an ended context is an error of the store", endedContext},
		{"what was read is the reader's own", ownCopy},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

func put(t *testing.T, s rendezvous.Store, key, value string, version int64) int64 {
	t.Helper()
	v, err := s.Put(t.Context(), key, []byte(value), version)
	if err != nil {
		t.Fatalf("Put(%q, %d): %v", key, version, err)
	}
	return v
}

func get(t *testing.T, s rendezvous.Store, key string) rendezvous.Record {
	t.Helper()
	r, err := s.Get(t.Context(), key)
	if err != nil {
		t.Fatalf("Get(%q): %v", key, err)
	}
	return r
}

func missing(t *testing.T, s rendezvous.Store) {
	if r := get(t, s, "node/none"); r.Version != 0 || len(r.Value) != 0 {
		t.Errorf("a missing record is %+v", r)
	}
	if list, err := s.List(t.Context(), "node/"); err != nil || len(list) != 0 {
		t.Errorf("an empty store lists %v, %v", list, err)
	}
}

func createdOnce(t *testing.T, s rendezvous.Store) {
	put(t, s, "k", "first", 0)
	if _, err := s.Put(t.Context(), "k", []byte("second"), 0); !errors.Is(err, rendezvous.ErrConflict) {
		t.Errorf("a second creation: %v, want ErrConflict", err)
	}
	if r := get(t, s, "k"); string(r.Value) != "first" {
		t.Errorf("the loser's value %q was written", r.Value)
	}
}

func versioned(t *testing.T, s rendezvous.Store) {
	v1 := put(t, s, "k", "1", 0)
	v2 := put(t, s, "k", "2", v1)
	for _, stale := range []int64{0, v1, v2 + 1} {
		if _, err := s.Put(t.Context(), "k", []byte("x"), stale); !errors.Is(err, rendezvous.ErrConflict) {
			t.Errorf("a write of version %d over %d: %v, want ErrConflict", stale, v2, err)
		}
	}
	if _, err := s.Put(t.Context(), "other", []byte("x"), 7); !errors.Is(err, rendezvous.ErrConflict) {
		t.Errorf("a write of version 7 over nothing: %v, want ErrConflict", err)
	}
	if r := get(t, s, "k"); string(r.Value) != "2" || r.Version != v2 || r.Key != "k" {
		t.Errorf("the record is %+v, want 2 at version %d", r, v2)
	}
}

func versionsGrow(t *testing.T, s rendezvous.Store) {
	version := int64(0)
	for i := range 20 {
		next := put(t, s, "k", "same", version)
		if next <= version {
			t.Fatalf("write %d: version %d after %d", i, next, version)
		}
		version = next
	}
}

func listed(t *testing.T, s rendezvous.Store) {
	for _, key := range []string{"node/b", "pool/a", "node/a", "node/a.b", "nod", "nodf"} {
		put(t, s, key, key, 0)
	}
	list, err := s.List(t.Context(), "node/")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"node/a", "node/a.b", "node/b"}
	if len(list) != len(want) {
		t.Fatalf("the list is %v, want %v", list, want)
	}
	for i, r := range list {
		if r.Key != want[i] || string(r.Value) != want[i] || r.Version == 0 {
			t.Errorf("record %d is %+v, want %s", i, r, want[i])
		}
	}
}

func noPatterns(t *testing.T, s rendezvous.Store) {
	for _, key := range []string{"a%c", "abc", "a_c", "a*c"} {
		put(t, s, key, key, 0)
	}
	for _, prefix := range []string{"a%", "a_", "a*"} {
		if list, err := s.List(t.Context(), prefix); err != nil || len(list) != 1 {
			t.Errorf("the prefix %q lists %v, %v: want one", prefix, list, err)
		}
	}
	if r := get(t, s, "a%c"); string(r.Value) != "a%c" {
		t.Errorf("a%%c holds %q", r.Value)
	}
}

func bytesSurvive(t *testing.T, s rendezvous.Store) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for key, value := range map[string][]byte{"all": all, "empty": {}, "large": make([]byte, 300_000)} {
		put(t, s, key, string(value), 0)
		if r := get(t, s, key); string(r.Value) != string(value) {
			t.Errorf("%s: %d bytes came back as %d", key, len(value), len(r.Value))
		}
	}
}

func oneWinner(t *testing.T, s rendezvous.Store) {
	const writers = 8
	v := put(t, s, "k", "start", 0)
	results := make([]error, writers)
	var group sync.WaitGroup
	for i := range writers {
		group.Go(func() {
			_, results[i] = s.Put(t.Context(), "k", fmt.Append(nil, i), v)
		})
	}
	group.Wait()
	won := -1
	for i, err := range results {
		switch {
		case err == nil && won >= 0:
			t.Errorf("writers %d and %d both won", won, i)
		case err == nil:
			won = i
		case !errors.Is(err, rendezvous.ErrConflict):
			t.Errorf("writer %d: %v", i, err)
		}
	}
	if r := get(t, s, "k"); string(r.Value) != fmt.Sprint(won) {
		t.Errorf("writer %d won, the value is %q", won, r.Value)
	}
}

func noLostUpdate(t *testing.T, s rendezvous.Store) {
	const writers, each = 5, 10
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for done := 0; done < each; {
				r, err := s.Get(t.Context(), "sum")
				if err != nil {
					t.Error(err)
					return
				}
				var n int
				_, _ = fmt.Sscan(string(r.Value), &n) // empty at first: 0
				_, err = s.Put(t.Context(), "sum", fmt.Append(nil, n+1), r.Version)
				switch {
				case err == nil:
					done++
				case !errors.Is(err, rendezvous.ErrConflict):
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	if r := get(t, s, "sum"); string(r.Value) != fmt.Sprint(writers*each) {
		t.Errorf("the sum is %s, want %d", r.Value, writers*each)
	}
}

func endedContext(t *testing.T, s rendezvous.Store) {
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	if _, err := s.Get(ctx, "k"); !errors.Is(err, rendezvous.ErrStore) {
		t.Errorf("Get: %v, want ErrStore", err)
	}
	if _, err := s.List(ctx, "k"); !errors.Is(err, rendezvous.ErrStore) {
		t.Errorf("List: %v, want ErrStore", err)
	}
	if _, err := s.Put(ctx, "k", nil, 0); !errors.Is(err, rendezvous.ErrStore) {
		t.Errorf("Put: %v, want ErrStore", err)
	}
}

func ownCopy(t *testing.T, s rendezvous.Store) {
	value := []byte("abc")
	if _, err := s.Put(t.Context(), "k", value, 0); err != nil {
		t.Fatal(err)
	}
	value[0] = 'X'
	get(t, s, "k").Value[1] = 'Y'
	if r := get(t, s, "k"); string(r.Value) != "abc" {
		t.Errorf("the stored value became %q", r.Value)
	}
}
