package rendezvous_test

import (
	"strings"
	"testing"
	"time"

	"muster/internal/rendezvous"
)

func TestStatusTable(t *testing.T) {
	s := committed(t)
	s.join(worker("w1"), "w1", claim1)
	if err := s.Progress(t.Context(), worker("w2"), rendezvous.Report{Claim: claim1, Step: "prepare: packages", Error: "no route to host"}); err != nil {
		t.Fatal(err)
	}
	s.clock = s.clock.Add(90 * time.Minute)
	report, err := s.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := report.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	want := `cluster c: made by cp0
NAME  ROLE           STATE   STEP               SINCE  NOTE
cp0   control-plane  joined  joined             1h30m  
w1    worker         joined  joined             1h30m  
w2    worker         open    prepare: packages  1h30m  no route to host
`
	if b.String() != want {
		t.Errorf("the table is\n%s\nwant\n%s", b.String(), want)
	}
	s.Trouble("the store has lost everything")
	if report, err = s.Status(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.Reset()
	if err := report.WriteTable(&b); err != nil || !strings.HasPrefix(b.String(), "cluster c: the store has lost everything\n") {
		t.Errorf("%v, the table is\n%s", err, b.String())
	}
}
