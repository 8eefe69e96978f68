package rendezvous_test

import (
	"encoding/json"
	"errors"
	"testing"

	"muster/internal/rendezvous"
)

func TestCausedKeepsItsCauseOffTheWire(t *testing.T) {
	cause := errors.New("dial tcp 10.0.0.1:7444: secret detail")
	err := rendezvous.Caused(rendezvous.CodeUnavailable, cause, "%s does not answer", "cp1")
	data, encoding := json.Marshal(err)
	if want := `{"code":"unavailable","message":"cp1 does not answer"}`; encoding != nil || string(data) != want {
		t.Errorf("it is sent as %s, %v, want %s", data, encoding, want)
	}
	if errors.Unwrap(err) != cause {
		t.Errorf("the log gets %v", errors.Unwrap(err))
	}
}
