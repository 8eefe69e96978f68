//go:build libsqlite3

package dqlite

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"muster/internal/rendezvous"
	"muster/internal/rendezvous/limit"
	"muster/internal/secrets/credential"
)

const (
	handshakeTimeout = 3 * time.Second
	maxLinks         = 256
	maxLinksPerHost  = 64
	acceptPause      = time.Second
)

// keepAlive is for both ends: a member that lost power says nothing. Raft's own timers notice, the sockets have to go
// as well.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3}

// listen opens the port that other members reach this one on.
func listen(address string) (net.Listener, error) {
	c := net.ListenConfig{KeepAliveConfig: keepAlive}
	return c.Listen(context.Background(), "tcp", address)
}

// links are the connections among members of one store: TLS 1.3 with a control plane's certificate on both sides, and
// the store's uid as the protocol. dqlite itself speaks plainly to a local socket; nothing reaches that socket from
// outside before its handshake was good.
type links struct {
	cfg      Config
	local    string
	ctx      context.Context
	cancel   context.CancelFunc
	listener net.Listener
	group    sync.WaitGroup

	mu    sync.Mutex
	peers map[net.Conn]string
}

func newLinks(cfg Config, local string) *links {
	ctx, cancel := context.WithCancel(context.Background())
	return &links{cfg: cfg, local: local, ctx: ctx, cancel: cancel, peers: map[net.Conn]string{}}
}

func (l *links) tls() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(l.cfg.CA)
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		NextProtos:   []string{l.protocol()},
		Certificates: []tls.Certificate{l.cfg.Certificate},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    pool,
		Time:         func() time.Time { return rendezvous.CertificateTime(l.cfg.Now()) },
		// As a client, the chain is verified by verify, with the role in place of the host name.
		InsecureSkipVerify: true,
		VerifyConnection:   func(state tls.ConnectionState) error { return l.verify(state, pool) },
	}
}

// protocol names the store in the handshake. Raft and the driver know a member by its id and address, and take whoever
// says that it leads; both are the same for two stores of which one founder after the other had the same machine.
func (l *links) protocol() string { return "muster-store/" + l.cfg.UID }

// verify takes control planes of this cluster that are members of this store only, on both sides.
func (l *links) verify(state tls.ConnectionState, pool *x509.CertPool) error {
	certificate := state.PeerCertificates[0]
	_, err := certificate.Verify(x509.VerifyOptions{
		Roots: pool, CurrentTime: rendezvous.CertificateTime(l.cfg.Now()), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return fmt.Errorf("the certificate is not of this cluster's rendezvous CA: %w", err)
	}
	id, err := credential.FromCertificate(certificate, l.cfg.Cluster)
	switch {
	case err != nil:
		return err
	case id.Role != credential.ControlPlane:
		return errors.New("only control planes reach the store")
	case l.cfg.Refuse != nil && l.cfg.Refuse(id.Name):
		return fmt.Errorf("the credential of %s is revoked", id.Name)
	case state.NegotiatedProtocol != l.protocol():
		return fmt.Errorf("%s is no member of this store", id.Name)
	}
	return nil
}

// serve takes connections of other members until close.
func (l *links) serve(listener net.Listener) {
	l.listener = &limit.Listener{Listener: listener, Total: maxLinks, PerHost: maxLinksPerHost}
	l.group.Go(func() {
		for {
			conn, err := l.listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil { // such as too many open files, which passes
				l.cfg.Log.Warn("the store's port took no connection", "error", err)
				time.Sleep(acceptPause)
				continue
			}
			l.group.Go(func() { l.take(conn) })
		}
	})
}

func (l *links) take(raw net.Conn) {
	remote := tls.Server(raw, l.tls())
	if err := l.handshake(remote); err != nil {
		l.cfg.Log.Debug("a connection to the store was refused", "from", raw.RemoteAddr(), "why", err)
		_ = raw.Close() // nothing was said on it
		return
	}
	local, err := net.Dial("unix", l.local)
	if err != nil {
		l.cfg.Log.Warn("the store's local socket does not answer", "error", err)
		_ = remote.Close() // the peer tries again
		return
	}
	l.join(remote, local)
}

func (l *links) handshake(conn *tls.Conn) error {
	ctx, cancel := context.WithTimeout(l.ctx, handshakeTimeout)
	defer cancel()
	return conn.HandshakeContext(ctx)
}

// dial connects the driver to a member; to this one without a detour through the network.
func (l *links) dial(ctx context.Context, address string) (net.Conn, error) {
	if address == l.cfg.Address {
		var d net.Dialer
		return d.DialContext(ctx, "unix", l.local)
	}
	d := net.Dialer{Timeout: handshakeTimeout, KeepAliveConfig: keepAlive}
	raw, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(raw, l.tls())
	if err := l.handshake(conn); err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	l.note(conn)
	return &noted{Conn: conn, links: l}, nil
}

// dialRaft connects raft to a member. Raft takes a plain socket only, so it gets one end of a pair.
func (l *links) dialRaft(ctx context.Context, address string) (net.Conn, error) {
	remote, err := l.dial(ctx, address)
	if err != nil {
		return nil, err
	}
	raft, ours, err := socketPair()
	if err != nil {
		return nil, errors.Join(err, remote.Close())
	}
	l.group.Go(func() { l.join(remote, ours) })
	return raft, nil
}

// join copies between two connections until one of them, or the store, ends.
func (l *links) join(remote, local net.Conn) {
	l.note(remote)
	defer l.forget(remote)
	stop := context.AfterFunc(l.ctx, func() {
		_ = remote.Close() // ends the copies below, which report nothing of use
		_ = local.Close()
	})
	defer stop()
	var group sync.WaitGroup
	for _, pair := range [][2]net.Conn{{remote, local}, {local, remote}} {
		group.Go(func() {
			_, _ = io.Copy(pair[0], pair[1]) // either end may go at any time; raft and the driver notice
			_ = remote.Close()
			_ = local.Close()
		})
	}
	group.Wait()
}

func (l *links) note(conn net.Conn) {
	name := ""
	if n, ok := conn.(*noted); ok {
		conn = n.Conn
	}
	if t, ok := conn.(*tls.Conn); ok {
		if id, err := credential.FromCertificate(t.ConnectionState().PeerCertificates[0], l.cfg.Cluster); err == nil {
			name = id.Name
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.peers[conn] = name
}

func (l *links) forget(conn net.Conn) {
	if n, ok := conn.(*noted); ok {
		conn = n.Conn
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.peers, conn)
}

// noted is a connection that leaves the list when it is closed.
type noted struct {
	net.Conn
	links *links
}

func (n *noted) Close() error {
	n.links.forget(n.Conn)
	return n.Conn.Close()
}

func (l *links) dropRefused() {
	if l.cfg.Refuse == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for conn, name := range l.peers {
		if l.cfg.Refuse(name) {
			_ = conn.Close() // its owner takes it off the list
		}
	}
}

func (l *links) close() {
	l.cancel()
	_ = l.listener.Close() // it serves nobody any more
	l.group.Wait()
}

func socketPair() (a, b net.Conn, err error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	if a, err = fileConn(fds[0]); err != nil {
		return nil, nil, errors.Join(err, syscall.Close(fds[1]))
	}
	if b, err = fileConn(fds[1]); err != nil {
		return nil, nil, errors.Join(err, a.Close())
	}
	return a, b, nil
}

// fileConn takes the descriptor over.
func fileConn(fd int) (net.Conn, error) {
	file := os.NewFile(uintptr(fd), "store")
	conn, err := net.FileConn(file)
	return conn, errors.Join(err, file.Close())
}
