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
