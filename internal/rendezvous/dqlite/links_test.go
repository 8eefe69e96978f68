//go:build libsqlite3

package dqlite

import (
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"syscall"
	"testing"
	"time"
)

// exhausted is a listener that has no file for its first connections. It hands out what it took after them.
type exhausted struct {
	net.Listener
	refuse int
	taken  chan net.Conn
}

func (e *exhausted) Accept() (net.Conn, error) {
	if e.refuse--; e.refuse >= 0 {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	conn, err := e.Listener.Accept()
	if err == nil {
		e.taken <- conn
	}
	return conn, err
}

// take is a connection as a member takes it, after its port failed for refuse times.
func take(t *testing.T, refuse int) net.Conn {
	t.Helper()
	listener, err := listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := newLinks(Config{CA: &x509.Certificate{}, Now: time.Now, Log: slog.New(slog.DiscardHandler)}, "@nobody")
	e := &exhausted{Listener: listener, refuse: refuse, taken: make(chan net.Conn, 1)}
	l.serve(e)
	t.Cleanup(l.close)
	dialled, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dialled.Close() }) // nothing is said on it
	select {
	case conn := <-e.taken:
		return conn
	case <-time.After(10 * acceptPause):
		t.Fatal("no connection is taken")
		return nil
	}
}

// The port goes on taking connections after it could not take one, and ends when it is closed.
func TestLinksGoOnAfterTooManyFiles(t *testing.T) { take(t, 1) }

// A connection that was taken ends 11 seconds after the other member lost its power.
func TestLinksAreKeptAlive(t *testing.T) {
	raw, err := take(t, 0).(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	check := func(level, option, want int) func(fd uintptr) {
		return func(fd uintptr) {
			if have, err := syscall.GetsockoptInt(int(fd), level, option); err != nil || have != want {
				t.Errorf("option %d of level %d is %d, %v, want %d", option, level, have, err, want)
			}
		}
	}
	err = errors.Join(
		raw.Control(check(syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1)),
		raw.Control(check(syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, 5)),
		raw.Control(check(syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, 2)),
		raw.Control(check(syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, 3)))
	if err != nil {
		t.Error(err)
	}
}
