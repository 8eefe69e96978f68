// Package limit owns a listener that bounds how many connections one address, and all together, may hold. It must not
// know what is spoken on them.
package limit

import (
	"net"
	"sync"
	"sync/atomic"
)

// Listener closes connections beyond its limits at once, before they cost a TLS handshake, so that one address cannot
// keep the others out.
type Listener struct {
	net.Listener
	// Total and PerHost are the limits.
	Total, PerHost int
	// Refused counts the connections beyond them.
	Refused atomic.Int64

	mu    sync.Mutex
	open  int
	hosts map[string]int
}

// Accept returns the next connection within the limits.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		host := Host(conn.RemoteAddr().String())
		if l.enter(host) {
			return &limited{Conn: conn, leave: sync.OnceFunc(func() { l.leave(host) })}, nil
		}
		l.Refused.Add(1)
		_ = conn.Close() // nothing was said on it
	}
}

func (l *Listener) enter(host string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open >= l.Total || l.hosts[host] >= l.PerHost {
		return false
	}
	if l.hosts == nil {
		l.hosts = map[string]int{}
	}
	l.open++
	l.hosts[host]++
	return true
}

func (l *Listener) leave(host string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if l.hosts[host]--; l.hosts[host] == 0 {
		delete(l.hosts, host)
	}
}

type limited struct {
	net.Conn
	leave func()
}

func (c *limited) Close() error {
	c.leave()
	return c.Conn.Close()
}

// Host is the host of a host:port, and the whole of anything else.
func Host(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}
