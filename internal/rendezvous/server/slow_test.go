package server_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pipes are connections whose deadlines go by the time of a synctest bubble, and that hold nothing that was not read.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// dial is a connection after its handshake, which ends with the test in any case.
func (p pipes) dial(t *testing.T) *tls.Conn {
	t.Helper()
	here, there := net.Pipe()
	p <- there
	conn := tls.Client(here, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}) // 1.3 has the client read after the handshake
	if err := conn.SetDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	return conn
}

// reads has everything that the server says read, beside what the client writes.
func reads(c net.Conn) { go func() { _, _ = io.Copy(io.Discard, c) }() }

// drip writes text as often as it can, with pauses.
func drip(c net.Conn, text string, pause time.Duration) {
	for {
		if _, err := io.WriteString(c, text); err != nil {
			return
		}
		time.Sleep(pause)
	}
}

// Clients that send a byte now and then, or never end their body, or never read, are cut off in bounded time.
func TestSlowClientsAreCutOff(t *testing.T) {
	const reading, writing = 12 * time.Second, 72 * time.Second // the server's limits, and a little for its goodbye
	head := func(s *site) string {
		return "POST /v1/enrol HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + s.grant("w1") + "\r\n"
	}
	for what, test := range map[string]struct {
		within time.Duration
		client func(s *site, c net.Conn)
	}{
		"mute": {reading, func(_ *site, c net.Conn) { _, _ = io.Copy(io.Discard, c) }},
		"slow header": {reading, func(_ *site, c net.Conn) {
			reads(c)
			drip(c, "P", time.Second)
		}},
		"endless header": {reading, func(_ *site, c net.Conn) {
			reads(c)
			drip(c, "POST / HTTP/1.1\r\nX: "+strings.Repeat("x", 100_000), 0)
		}},
		"endless body": {reading, func(s *site, c net.Conn) {
			reads(c)
			_, _ = fmt.Fprintf(c, "%sTransfer-Encoding: chunked\r\n\r\n", head(s))
			drip(c, "1000\r\n"+strings.Repeat(" ", 4096)+"\r\n", 0)
		}},
		"slow body": {reading, func(s *site, c net.Conn) {
			reads(c)
			_, _ = io.WriteString(c, head(s)+"Content-Length: 1000000\r\n\r\n{")
			drip(c, " ", time.Second)
		}},
		"never reads": {writing, func(s *site, c net.Conn) {
			request := fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head(s), len(claim), claim)
			_, _ = io.WriteString(c, request)
			// One answer only, to see that the requests are good.
			if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || line != "HTTP/1.1 200 OK\r\n" {
				s.t.Errorf("its first request is answered with %q, %v", line, err)
			}
			drip(c, request, 0)
		}},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := make(pipes)
				s := openOn(t, p)
				c := p.dial(t)
				defer c.Close()
				begin := time.Now()
				test.client(s, c)
				if took := time.Since(begin); took > test.within {
					t.Errorf("cut off after %s only", took)
				}
			})
		})
	}
}
