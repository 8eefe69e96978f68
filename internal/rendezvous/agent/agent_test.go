package agent_test

import (
	"encoding/json"
	"testing"

	"muster/internal/rendezvous"
)

func decode(t *testing.T, data []byte) rendezvous.Lease {
	t.Helper()
	var l rendezvous.Lease
	if len(data) == 0 {
		return l
	}
	if err := json.Unmarshal(data, &l); err != nil {
		t.Fatal(err)
	}
	return l
}

// TestSchedules runs thousands of random first boots in virtual time.
func TestSchedules(t *testing.T) {
	schedules := uint64(3000)
	if testing.Short() {
		schedules = 300
	}
	for seed := range schedules {
		run(t, seed)
		if t.Failed() {
			t.Fatalf("seed %d failed; run it alone with go test -run TestSchedules", seed)
		}
	}
}
