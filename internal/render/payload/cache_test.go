package payload

import (
	"errors"
	"fmt"
	"testing"
)

func TestCache(t *testing.T) {
	var c Cache[int]
	made := 0
	double := func(n int) int {
		v, err := c.Get(fmt.Append(nil, n), func() (int, error) { made++; return 2 * n, nil })
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if _, err := c.Get([]byte("1"), func() (int, error) { return 7, errors.New("not now") }); err == nil {
		t.Error("an error was lost")
	}
	for range 2 {
		if got := double(1); got != 2 || made != 1 {
			t.Errorf("got %d, made %d times: an error was kept, or a result was not", got, made)
		}
	}
	for n := range 1000 {
		if got := double(n); got != 2*n || len(c.made) > cacheSize {
			t.Fatalf("got %d for %d, with %d kept", got, n, len(c.made))
		}
	}
}

func TestCacheByHand(t *testing.T) {
	var c Cache[string]
	if _, known := c.Load([]byte("a")); known {
		t.Error("something is kept from the start")
	}
	if _, err := c.Get([]byte("bad"), func() (string, error) { return "bad", errors.New("not now") }); err == nil {
		t.Error("an error was lost")
	}
	c.Store([]byte("a"), "first")
	c.Store([]byte("a"), "second")
	if v, known := c.Load([]byte("a")); v != "first" || !known {
		t.Errorf("got %q, %v", v, known)
	}
	if v, ok := c.Find(func(v string) bool { return v == "bad" }); ok {
		t.Errorf("found %q, which was an error", v)
	}
	if v, ok := c.Find(func(v string) bool { return v != "" }); v != "first" || !ok {
		t.Errorf("found %q, %v", v, ok)
	}
	for n := range 1000 {
		c.Store(fmt.Append(nil, n), "more")
		if len(c.made) > cacheSize {
			t.Fatalf("%d are kept", len(c.made))
		}
	}
}
