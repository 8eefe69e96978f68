// Package client owns how Go programs talk to the rendezvous: gen for the operator, and the agent and the service of a
// control plane. It is pure Go, and must not know the store or decide anything: calls go to the servers one after
// another until one answers for all.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"muster/internal/rendezvous"
	"muster/internal/secrets/credential"
)

const (
	// callTimeout bounds one call to one server. Minting a token waits for the Kubernetes API.
	callTimeout = 30 * time.Second
	// dialTimeout is short: a control plane that is off answers nothing, and there may be others.
	dialTimeout = 3 * time.Second
	// maxAnswer is the largest answer read, in bytes: a status of some thousand nodes.
	maxAnswer = 32 << 20
)

// Config says where the servers are and who is asking.
type Config struct {
	// Servers are host:port of the control planes' rendezvous, in the order of trying.
	Servers []string
	// Cluster is the cluster's name; a server of another is refused.
	Cluster string
	// CA is the rendezvous CA.
	CA *x509.Certificate
	// Certificate is the control plane's or the operator's.
	Certificate tls.Certificate
	// Peer, when set, is the only control plane whose answer is taken: who forms a store has to know who answered.
	Peer string
	// Now is the clock, time.Now when nil.
	Now func() time.Time
}

// Client calls the rendezvous. Its methods may be called from many goroutines; their errors are *rendezvous.Error.
type Client struct {
	servers []string
	http    *http.Client

	mu    sync.Mutex
	first int // the server that answered last is asked first
}

// New makes a Client. Nothing is dialled yet.
func New(cfg Config) (*Client, error) {
	if len(cfg.Servers) == 0 {
		return nil, errors.New("servers: at least one host:port of a control plane is needed")
	}
	for _, server := range cfg.Servers {
		if _, _, err := net.SplitHostPort(server); err != nil {
			return nil, fmt.Errorf("servers: %q is no host:port", server)
		}
	}
	return &Client{servers: cfg.Servers, http: &http.Client{
		Timeout: callTimeout,
		Transport: &http.Transport{
			DialContext:           (&net.Dialer{Timeout: dialTimeout}).DialContext,
			TLSClientConfig:       cfg.tls(),
			TLSHandshakeTimeout:   dialTimeout,
			ResponseHeaderTimeout: callTimeout,
			MaxIdleConnsPerHost:   2,
			IdleConnTimeout:       20 * time.Second, // below the server's, which would else close under a request
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("the rendezvous redirects nobody") },
	}}, nil
}

// tls trusts whoever proves to be a control plane of this cluster, by whatever address it was reached: addresses
// change, the name in the certificate does not.
func (cfg Config) tls() *tls.Config {
	now := cfg.Now
	if now == nil {
		now = time.Now
	}
	pool := x509.NewCertPool()
	pool.AddCert(cfg.CA)
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{cfg.Certificate},
		// The chain is verified below, against the same pool, with the role in place of the host name.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{
				Roots: pool, CurrentTime: rendezvous.CertificateTime(now()), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
			})
			if err != nil {
				return fmt.Errorf("the server's certificate is not of the rendezvous CA of cluster %s: %w", cfg.Cluster, err)
			}
			id, err := credential.FromCertificate(state.PeerCertificates[0], cfg.Cluster)
			if err != nil {
				return err
			}
			if id.Role != credential.ControlPlane || cfg.Peer != "" && id.Name != cfg.Peer {
				return fmt.Errorf("the server is %s %s, not the control plane that is asked", id.Role, id.Name)
			}
			return nil
		},
	}
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// call asks the servers in turn. An error that only says that one server cannot answer now leads to the next.
func (c *Client) call(ctx context.Context, method, path string, body any) ([]byte, error) {
	var data []byte
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			return nil, rendezvous.Errorf(rendezvous.CodeInternal, "the request cannot be encoded: %w", err)
		}
	}
	c.mu.Lock()
	first := c.first
	c.mu.Unlock()
	var last error
	for i := range c.servers {
		at := (first + i) % len(c.servers)
		answer, err := c.ask(ctx, method, c.servers[at], path, data)
		if code := rendezvous.CodeOf(err); err == nil || code != rendezvous.CodeUnavailable && code != rendezvous.CodeInternal {
			c.mu.Lock()
			c.first = at
			c.mu.Unlock()
			return answer, err
		}
		if last == nil || better(err, last) {
			last = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, last
}

// better prefers an answer from a server over a connection error.
func better(err, than error) bool {
	var a, b *rendezvous.Error
	return errors.As(err, &a) && errors.As(than, &b) && a.Unwrap() == nil && b.Unwrap() != nil
}

func (c *Client) ask(ctx context.Context, method, server, path string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, "https://"+server+path, bytes.NewReader(body))
	if err != nil {
		return nil, rendezvous.Errorf(rendezvous.CodeInternal, "the request cannot be made: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := c.http.Do(request)
	if err != nil {
		return nil, unreached(server, err)
	}
	defer func() { _ = response.Body.Close() }() // read to its end below
	data, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, unreached(server, err)
	case len(data) > maxAnswer:
		return nil, rendezvous.Errorf(rendezvous.CodeInternal, "%s answers with more than %d bytes", server, maxAnswer)
	case response.StatusCode == http.StatusOK:
		return data, nil
	}
	var e rendezvous.Error
	if json.Unmarshal(data, &e) != nil || e.Code == "" {
		return nil, rendezvous.Errorf(rendezvous.CodeUnavailable, "%s answers with status %d and no error of the rendezvous", server, response.StatusCode)
	}
	return nil, &e
}

func unreached(server string, err error) error {
	// The URL in front of the error repeats what the message says already.
	text := strings.TrimSpace(err.Error())
	if i := strings.LastIndex(text, "\": "); i >= 0 {
		text = text[i+3:]
	}
	return rendezvous.Caused(rendezvous.CodeUnavailable, err, "%s is not reached: %s", server, text)
}

func post[T any](ctx context.Context, c *Client, path string, body any) (T, error) {
	var value T
	data, err := c.call(ctx, http.MethodPost, path, body)
	if err != nil {
		return value, err
	}
	return decode[T](data)
}

func get[T any](ctx context.Context, c *Client, path string) (T, error) {
	var value T
	data, err := c.call(ctx, http.MethodGet, path, nil)
	if err != nil {
		return value, err
	}
	return decode[T](data)
}

func decode[T any](data []byte) (T, error) {
	var value T
	if err := json.Unmarshal(data, &value); err != nil {
		return value, rendezvous.Errorf(rendezvous.CodeInternal, "the answer cannot be read: %w", err)
	}
	return value, nil
}
