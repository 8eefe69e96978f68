package consumer

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// Refuses runs a check that must fail and returns what it failed with; it fails tb when the check passed. It is how a test proves that a consumer, or a rule of
// ours that stands on one, can refuse a document at all.
func Refuses(tb testing.TB, check func(testing.TB)) string {
	tb.Helper()
	r := &recorder{TB: tb}
	done := make(chan struct{})
	// Fatal ends its goroutine, so the check gets one of its own.
	go func() {
		defer close(done)
		check(r)
	}()
	<-done
	if len(r.said) == 0 {
		tb.Fatal("the check passed, though it must fail")
	}
	return strings.Join(r.said, "\n")
}

// recorder is a testing.TB whose failures are kept and do not fail the test.
type recorder struct {
	testing.TB
	said []string
}

func (r *recorder) Error(args ...any) { r.said = append(r.said, fmt.Sprint(args...)) }
func (r *recorder) Errorf(format string, args ...any) {
	r.said = append(r.said, fmt.Sprintf(format, args...))
}
func (r *recorder) Fatal(args ...any)                 { r.Error(args...); runtime.Goexit() }
func (r *recorder) Fatalf(format string, args ...any) { r.Errorf(format, args...); runtime.Goexit() }
func (r *recorder) Fail()                             { r.Error("the check failed") }
func (r *recorder) FailNow()                          { r.Fatal("the check failed") }
func (r *recorder) Failed() bool                      { return len(r.said) > 0 }
