package payload

import (
	"errors"
	"fmt"
	"testing"
)

func TestKept(t *testing.T) {
	var k Kept[int]
	made := 0
	double := func(n int) int {
		v, err := k.Get(fmt.Append(nil, n), func() (int, error) { made++; return 2 * n, nil })
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if _, err := k.Get([]byte("1"), func() (int, error) { return 7, errors.New("not now") }); err == nil {
		t.Error("an error was lost")
	}
	for range 2 {
		if got := double(1); got != 2 || made != 1 {
			t.Errorf("got %d, made %d times: an error was kept, or a result was not", got, made)
		}
	}
	for n := range 1000 {
		if got := double(n); got != 2*n || len(k.made) > keptMost {
			t.Fatalf("got %d for %d, with %d kept", got, n, len(k.made))
		}
	}
}

func TestKeptByHand(t *testing.T) {
	var k Kept[string]
	if _, known := k.Load([]byte("a")); known {
		t.Error("something is kept from the start")
	}
	if _, err := k.Get([]byte("bad"), func() (string, error) { return "bad", errors.New("not now") }); err == nil {
		t.Error("an error was lost")
	}
	k.Store([]byte("a"), "first")
	k.Store([]byte("a"), "second")
	if v, known := k.Load([]byte("a")); v != "first" || !known {
		t.Errorf("got %q, %v", v, known)
	}
	if v, ok := k.Find(func(v string) bool { return v == "bad" }); ok {
		t.Errorf("found %q, which was an error", v)
	}
	if v, ok := k.Find(func(v string) bool { return v != "" }); v != "first" || !ok {
		t.Errorf("found %q, %v", v, ok)
	}
	for n := range 1000 {
		k.Store(fmt.Append(nil, n), "more")
		if len(k.made) > keptMost {
			t.Fatalf("%d are kept", len(k.made))
		}
	}
}
