package rendezvous_test

import (
	"encoding/json"
	"testing"

	"muster/internal/rendezvous"
)

// Clients and servers of different releases meet, and the scripts of workers write JSON themselves: its keys are a
// promise.
func TestRequestsOnTheWire(t *testing.T) {
	claim := rendezvous.Claim{Name: "w1", Machine: machine1}
	for _, c := range []struct {
		request any
		want    string
	}{
		{rendezvous.Enrolment{Claim: rendezvous.Claim{Machine: "m"}}, `{"machine":"m"}`},
		{rendezvous.Enrolment{Claim: claim, Held: &rendezvous.Held{Node: "w1", Run: "r", Epoch: 2}},
			`{"name":"w1","machine":"` + machine1 + `","held":{"run":"r","epoch":2}}`},
		{rendezvous.OperatorRequest{Node: "w1"}, `{"node":"w1"}`},
		{rendezvous.OperatorRequest{Pool: "burst"}, `{"pool":"burst"}`},
		{rendezvous.Report{Claim: claim, Step: "s"}, `{"name":"w1","machine":"` + machine1 + `","step":"s"}`},
		{rendezvous.Ask{Node: "cp1", Machine: "m", Run: "r", Attempt: 1}, `{"machine":"m","run":"r","attempt":1,"seen":0}`},
		{rendezvous.Admission{Node: "cp1", UID: "u", ID: 3, Address: "a:1"}, `{"uid":"u","id":3,"address":"a:1"}`},
		{rendezvous.Confirmation{UID: "u"}, `{"uid":"u"}`},
	} {
		if data, err := json.Marshal(c.request); err != nil || string(data) != c.want {
			t.Errorf("%T is sent as %s, %v, want %s", c.request, data, err, c.want)
		}
	}
}
