//go:build libsqlite3

package dqlite

import (
	"crypto/x509"
	"log/slog"
	"net"
	"syscall"
	"testing"
	"time"
)

// exhausted is a listener that has no file for its first connection.
type exhausted struct {
	net.Listener
	calls int
	taken chan net.Conn
}

func (e *exhausted) Accept() (net.Conn, error) {
	if e.calls++; e.calls == 1 {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	conn, err := e.Listener.Accept()
	if err == nil {
		e.taken <- conn
	}
	return conn, err
}

// The port goes on taking connections after it could not take one, and ends when it is closed.
func TestLinksGoOnAfterTooManyFiles(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := newLinks(Config{CA: &x509.Certificate{}, Now: time.Now, Log: slog.New(slog.DiscardHandler)}, "@nobody")
	e := &exhausted{Listener: listener, taken: make(chan net.Conn, 1)}
	l.serve(e)
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	select {
	case <-e.taken:
	case <-time.After(10 * acceptPause):
		t.Error("no connection is taken any more")
	}
	l.close()
}
