// Package server owns the HTTPS API of the rendezvous: it verifies credentials, bounds what a client may cost, and
// translates requests into calls of the Service and its errors into statuses. It must not decide anything itself.
package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"time"

	"muster/internal/rendezvous"
	"muster/internal/rendezvous/limit"
)

// What one client may cost. Requests are small and answers are below 64 KiB, so honest clients are far from these.
const (
	readTimeout      = 10 * time.Second // a whole request, its TLS handshake included
	writeTimeout     = 60 * time.Second // a whole answer: minting a token may wait for the Kubernetes API
	idleTimeout      = 30 * time.Second
	maxHeader        = 8 << 10 // bytes
	maxConns         = 2048    // connections in all
	maxConnsPerHost  = 64      // connections of one address
	shutdownPatience = 10 * time.Second
)

// probeTimeout is how long healthz and metrics wait for the store. Whoever probes gives up after a few seconds, and has
// to learn before that the store does not answer.
const probeTimeout = 2 * time.Second

// Formation is the part of a control plane that forms the store with the others.
type Formation interface {
	// Membership is this control plane's answer about itself.
	Membership(ctx context.Context) (rendezvous.Membership, error)
	// Admit makes a control plane a member of the store that this one holds. Asked again it succeeds again.
	Admit(ctx context.Context, a rendezvous.Admission) error
	// Confirm promises to keep the store.
	Confirm(ctx context.Context, uid string) error
}

// Config is what a Server needs.
type Config struct {
	// Cluster is the cluster's name: credentials of another are refused.
	Cluster   string
	Service   *rendezvous.Service
	Formation Formation
	// Revoked says that the credential of a control plane was taken back; it may be a moment late. Nil: none is.
	Revoked func(name string) bool
	// Certificate is this control plane's, CA the rendezvous CA that all credentials come from.
	Certificate tls.Certificate
	CA          *x509.Certificate
	Log         *slog.Logger
	// Now is the clock, time.Now when nil.
	Now func() time.Time
}

// Server is the API of one control plane.
type Server struct {
	Config
	http    *http.Server
	answers answers
	limited *limit.Listener
}

// New makes a Server; it listens to nothing yet.
func New(cfg Config) *Server {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Server{Config: cfg}
	s.http = &http.Server{
		Handler:           s.routes(),
		ReadHeaderTimeout: readTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          log.New(quiet{cfg.Log}, "", 0),
		TLSNextProto:      map[string]func(*http.Server, *tls.Conn, http.Handler){}, // HTTP/1.1 is all that is needed
	}
	return s
}

// Serve answers connections of l until ctx ends, then lets running requests finish for a while.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	s.limited = &limit.Listener{Listener: l, Total: maxConns, PerHost: maxConnsPerHost}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		patience, cancel := context.WithTimeout(context.Background(), shutdownPatience)
		defer cancel()
		err := s.http.Shutdown(patience)
		if err != nil {
			err = errors.Join(err, s.http.Close())
		}
		stopped <- err
	}()
	err := s.http.Serve(tls.NewListener(s.limited, s.tlsConfig()))
	if !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

func (s *Server) tlsConfig() *tls.Config {
	authorities := x509.NewCertPool()
	authorities.AddCert(s.CA)
	return &tls.Config{
		MinVersion:   tls.VersionTLS12, // CentOS 7's curl has no 1.3; with a certificate 1.3 is needed, see identify
		Certificates: []tls.Certificate{s.Certificate},
		ClientAuth:   tls.VerifyClientCertIfGiven,
		ClientCAs:    authorities,
		Time:         func() time.Time { return rendezvous.CertificateTime(s.Now()) },
		NextProtos:   []string{"http/1.1"},
		// Of TLS 1.2 only what has forward secrecy and AEAD; the first is the one that every curl has.
		CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384},
	}
}

// quiet logs net/http's complaints about broken clients (failed handshakes and the like) at debug: anyone can cause
// them.
type quiet struct{ log *slog.Logger }

func (q quiet) Write(p []byte) (int, error) {
	q.log.Debug("http: " + string(p))
	return len(p), nil
}

var _ io.Writer = quiet{}
