package rendezvous

import (
	"errors"
	"fmt"
	"time"
)

// Code is the kind of an error as a client sees it; the server maps each to one HTTP status.
type Code string

// The codes. Only CodeUnavailable, CodeWaiting, CodeHeld, CodeConflict and CodeInternal are worth another try.
const (
	CodeInvalid         Code = "invalid"         // the request is malformed
	CodeUnauthenticated Code = "unauthenticated" // no credential, or none of this cluster
	CodeForbidden       Code = "forbidden"       // the credential is good, but not for this
	CodeClosed          Code = "closed"          // the node has joined; its credential is spent
	CodeRevoked         Code = "revoked"         // the operator took the credential back
	CodeNotFound        Code = "not-found"       // no such call or node
	CodeHeld            Code = "held"            // another node holds the lease
	CodeSuperseded      Code = "superseded"      // the epoch is no longer the lease's
	CodeCommitted       Code = "committed"       // an init is committed: join it
	CodeWaiting         Code = "waiting"         // something has to happen first; the message says what
	CodeConflict        Code = "conflict"        // somebody else wrote first, several times
	CodeUnavailable     Code = "unavailable"     // the store or the cluster does not answer here
	CodeTooLarge        Code = "too-large"
	CodeInternal        Code = "internal" // something is wrong here: another control plane may do better
)

// Error is an error of the protocol. Message is for people and contains no secret.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	// RetryAfter is when another try makes sense, in seconds; 0: that is not known.
	RetryAfter int `json:"retryAfter,omitempty"`
	// Lease is set with CodeHeld, CodeSuperseded, CodeCommitted and a lease's CodeConflict: the lease as it is.
	Lease *Lease `json:"lease,omitempty"`
	cause error  // see Caused
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// Unwrap gives the cause to the server's own log; it never goes over the wire.
func (e *Error) Unwrap() error { return e.cause }

// Errorf makes an Error of a code. A %w operand is its cause as well; unlike Caused's its text is a part of the
// message.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), cause: errors.Unwrap(err)}
}

// Caused makes an Error of a code whose message does not repeat its cause: that is logged here, not sent.
func Caused(code Code, cause error, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), cause: cause}
}

// CodeOf is the code of an error, CodeInternal when it has none.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}

// When another try makes sense: soon, but not so soon that hundreds of waiting machines keep each other from being
// served.
const (
	retryStore   = 2 * time.Second // the store elects a leader within a second
	retryJoined  = 3 * time.Second // a kubelet shows its Node some seconds after kubeadm join
	retryCluster = 5 * time.Second // an API server that restarts takes longer
	retryKubeadm = 5 * time.Second // kubeadm takes minutes, on one machine after another
)

func waiting(after time.Duration, format string, args ...any) *Error {
	return Errorf(CodeWaiting, format, args...).retryAfter(after)
}

func (e *Error) retryAfter(d time.Duration) *Error {
	e.RetryAfter = int(d / time.Second)
	return e
}
