package server_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"muster/internal/rendezvous"
	"muster/internal/rendezvous/client"
	"muster/internal/rendezvous/clustertest"
	"muster/internal/rendezvous/server"
	"muster/internal/secrets"
	"muster/internal/secrets/credential"
)

const (
	machine = "0123456789abcdef0123456789abcdef"
	run     = "fedcba9876543210"
)

// site is one control plane's server of the cluster k8s, over a store of its own, with everybody's credentials.
type site struct {
	t         *testing.T
	authority *secrets.Authority
	ca        *x509.Certificate
	address   string
	k         *clustertest.Kubernetes
	service   *rendezvous.Service
	log       *logBuffer
	formation *formation
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

type formation struct {
	mu       sync.Mutex
	admitted []rendezvous.Admission
}

func (*formation) Membership(context.Context) (rendezvous.Membership, error) {
	return rendezvous.Membership{Node: "cp0", Holds: true, UID: "u"}, nil
}

func (f *formation) Admit(_ context.Context, a rendezvous.Admission) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.admitted = append(f.admitted, a)
	return nil
}

func (*formation) Confirm(_ context.Context, uid string) error {
	if uid != "u" {
		return rendezvous.Errorf(rendezvous.CodeForbidden, "another store")
	}
	return nil
}

type noMembers struct{}

func (noMembers) CanRemove(string) error               { return nil }
func (noMembers) Remove(context.Context, string) error { return nil }

func authority(t *testing.T, cluster string) *secrets.Authority {
	t.Helper()
	a, err := secrets.Test().Authority(cluster)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func certificateOf(t *testing.T, a *secrets.Authority) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(a.Certificate())
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func pair(t *testing.T, p credential.KeyPair, err error) tls.Certificate {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.TLS()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// open starts a site whose cluster is made.
func open(t *testing.T) *site {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return openOn(t, listener)
}

func openOn(t *testing.T, listener net.Listener) *site {
	s := &site{t: t, authority: authority(t, "k8s"), k: clustertest.New("certificates of k8s"), log: &logBuffer{}, formation: &formation{}}
	s.ca = certificateOf(t, s.authority)
	logger := slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s.service = &rendezvous.Service{Name: "k8s", Store: rendezvous.NewMemoryStore(), Cluster: clustertest.Certain(s.k), Members: noMembers{}, Log: logger}
	if err := s.service.Form(t.Context(), "u", "cp0"); err != nil {
		t.Fatal(err)
	}
	id := rendezvous.Identity{Cluster: "k8s", Role: credential.ControlPlane, Name: "cp0"}
	lease, err := s.service.AcquireInit(t.Context(), id, rendezvous.Ask{Machine: machine, Run: run, Attempt: 1})
	if err != nil {
		t.Fatal(err)
	}
	s.k.Init("cp0")
	if _, err := s.service.CommitInit(t.Context(), id, rendezvous.Held{Run: run, Epoch: lease.Epoch}); err != nil {
		t.Fatal(err)
	}
	srv := server.New(server.Config{
		Cluster: "k8s", Service: s.service, Formation: s.formation, Certificate: s.plane("cp0"), CA: s.ca, Log: logger,
	})
	s.address = listener.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the server ended with %v", err)
		}
	})
	return s
}

func (s *site) plane(name string) tls.Certificate {
	p, err := s.authority.ControlPlane(name, []netip.Addr{netip.MustParseAddr("127.0.0.1")})
	return pair(s.t, p, err)
}

func (s *site) operator() tls.Certificate {
	p, err := s.authority.Operator()
	return pair(s.t, p, err)
}

func (s *site) grant(name string) string {
	g, err := s.authority.WorkerGrant(name)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(g.Reveal())
}

func (s *site) client(c tls.Certificate) *client.Client {
	cl, err := client.New(client.Config{Servers: []string{s.address}, Cluster: "k8s", CA: s.ca, Certificate: c})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(cl.Close)
	return cl
}

// http is a client with this certificate and these TLS settings, as curl would be.
func (s *site) http(c *tls.Certificate, change func(*tls.Config)) *http.Client {
	pool := x509.NewCertPool()
	pool.AddCert(s.ca)
	cfg := &tls.Config{RootCAs: pool}
	if c != nil {
		// Whatever CAs the server asks for: an attacker shows what he has.
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c, nil }
	}
	if change != nil {
		change(cfg)
	}
	transport := &http.Transport{TLSClientConfig: cfg, DisableKeepAlives: true}
	return &http.Client{Transport: transport, Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

type answer struct {
	status int
	header http.Header
	body   string
	code   rendezvous.Code
}

// call is one request, as curl would make it: a POST unless method is set.
type call struct {
	by                         *http.Client
	method, path, bearer, body string
}

func (s *site) ask(c call) (answer, error) {
	s.t.Helper()
	r, err := http.NewRequest(cmp.Or(c.method, http.MethodPost), "https://"+s.address, strings.NewReader(c.body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.URL.Opaque = "//" + s.address + c.path // as it is: no cleaning on this side
	if c.bearer != "" {
		r.Header.Set("Authorization", "Bearer "+c.bearer)
	}
	response, err := c.by.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	a := answer{status: response.StatusCode, header: response.Header, body: string(data)}
	var e rendezvous.Error
	if json.Unmarshal(data, &e) == nil {
		a.code = e.Code
	}
	return a, err
}

func (s *site) want(c call, status int, code rendezvous.Code) {
	s.t.Helper()
	a, err := s.ask(c)
	if err != nil || a.status != status || a.code != code {
		s.t.Errorf("%s %s %.100q: %d %s %v, want %d %s", c.method, c.path, c.body, a.status, a.body, err, status, code)
	}
}

const claim = `{"machine":"` + machine + `"}`

func TestWorkerByBearer(t *testing.T) {
	s := open(t)
	h := s.http(nil, nil)
	grant := s.grant("w1")
	a, err := s.ask(call{by: h, path: "/v1/enrol", bearer: grant, body: claim})
	if err != nil || a.status != http.StatusOK {
		t.Fatalf("enrol: %+v, %v", a, err)
	}
	if a.header.Get("Cache-Control") != "no-store" {
		t.Error("the answer with a token may be cached")
	}
	id, secret, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(a.body, "token: ")), ".")
	s.want(call{by: h, path: "/v1/done", bearer: grant, body: claim}, http.StatusServiceUnavailable, rendezvous.CodeWaiting)
	if err := s.k.JoinWorker("w1", id, secret); err != nil {
		t.Fatal(err)
	}
	s.want(call{by: h, path: "/v1/progress", bearer: grant, body: `{"machine":"` + machine + `","step":"joining"}`}, http.StatusOK, "")
	s.want(call{by: h, path: "/v1/done", bearer: grant, body: claim}, http.StatusOK, "")
	s.want(call{by: h, path: "/v1/enrol", bearer: grant, body: claim}, http.StatusGone, rendezvous.CodeClosed)
	if text := s.log.String(); strings.Contains(text, secret) || strings.Contains(text, grant) || !strings.Contains(text, "enrolment closed") {
		t.Errorf("the log holds a secret, or not the decision:\n%s", text)
	}
}

// CentOS 7's curl speaks TLS 1.2 with one cipher.
func TestWorkerOverTLS12(t *testing.T) {
	s := open(t)
	h := s.http(nil, func(c *tls.Config) {
		c.MaxVersion = tls.VersionTLS12
		c.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
	})
	s.want(call{by: h, path: "/v1/enrol", bearer: s.grant("w1"), body: claim}, http.StatusOK, "")
	certificate := s.plane("cp1")
	h = s.http(&certificate, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 })
	s.want(call{by: h, method: "GET", path: "/v1/status"}, http.StatusUnauthorized, rendezvous.CodeUnauthenticated)
	for what, change := range map[string]func(*tls.Config){
		"TLS 1.1": func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 },
		"CBC": func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
		},
	} {
		if a, err := s.ask(call{by: s.http(nil, change), path: "/v1/enrol", bearer: s.grant("w1"), body: claim}); err == nil {
			t.Errorf("%s was taken: %+v", what, a)
		}
	}
}

func TestCredentialsThatAreRefused(t *testing.T) {
	s := open(t)
	other := authority(t, "other")
	otherGrant, err := other.WorkerGrant("w1")
	if err != nil {
		t.Fatal(err)
	}
	good := s.grant("w1")
	payload, signature, _ := strings.Cut(good, ".")
	h := s.http(nil, nil)
	for what, bearer := range map[string]string{
		"none": "", "another cluster's": string(otherGrant.Reveal()), "no signature": payload, "cut": good[:len(good)-3],
		"another payload": strings.ToUpper(payload) + "." + signature, "twice": good + good, "empty parts": ".", "huge": strings.Repeat("A", 6000),
	} {
		a, err := s.ask(call{by: h, path: "/v1/enrol", bearer: bearer, body: claim})
		if err != nil || a.status != http.StatusUnauthorized || bearer != "" && strings.Contains(a.body, bearer) {
			t.Errorf("%s: %+v, %v", what, a, err)
		}
	}
	r, _ := http.NewRequest("POST", "https://"+s.address+"/v1/enrol", strings.NewReader(claim))
	r.Header["Authorization"] = []string{"Bearer " + good, "Bearer " + s.grant("w2")}
	if response, err := h.Do(r); err != nil || response.StatusCode != http.StatusUnauthorized {
		t.Errorf("two tokens: %v, %v", response, err)
	}
	plane := s.plane("cp1")
	s.want(call{by: s.http(&plane, nil), path: "/v1/enrol", bearer: good, body: claim}, http.StatusUnauthorized, rendezvous.CodeUnauthenticated)
	if s.k.Minted != 0 {
		t.Errorf("%d tokens were minted", s.k.Minted)
	}
}

func TestCertificatesThatAreRefused(t *testing.T) {
	s := open(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	// A CA that says it is ours.
	lookalike := &x509.Certificate{SerialNumber: s.ca.SerialNumber, Subject: s.ca.Subject, NotBefore: s.ca.NotBefore, NotAfter: s.ca.NotAfter, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, SubjectKeyId: s.ca.SubjectKeyId}
	issue := func(change func(*x509.Certificate)) tls.Certificate {
		c := &x509.Certificate{SerialNumber: big.NewInt(9), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
			URIs: []*url.URL{credential.IdentityURI("k8s", credential.Operator, "operator")}}
		change(c)
		der, err := x509.CreateCertificate(rand.Reader, c, lookalike, &key.PublicKey, caKey)
		if err != nil {
			t.Fatal(err)
		}
		return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	}
	otherOperator, err := authority(t, "other").Operator()
	refused := map[string]tls.Certificate{
		"forged":                               issue(func(*x509.Certificate) {}),
		"another cluster's":                    pair(t, otherOperator, err),
		"a worker's key under our certificate": {Certificate: s.operator().Certificate, PrivateKey: key},
	}
	for what, certificate := range refused {
		if a, err := s.ask(call{by: s.http(&certificate, nil), method: "GET", path: "/v1/status"}); err == nil {
			t.Errorf("%s: %+v", what, a)
		}
	}
	operator := s.operator()
	s.want(call{by: s.http(&operator, nil), method: "GET", path: "/v1/status"}, http.StatusOK, "") // the way to be taken is open
}

// A certificate whose life is over, of a CA that the server does trust, and the same with a clock before its beginning.
func TestExpiredCertificate(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if ca, err = x509.ParseCertificate(caDER); err != nil {
		t.Fatal(err)
	}
	issue := func(from, to time.Time, role credential.Role) tls.Certificate {
		c := &x509.Certificate{SerialNumber: big.NewInt(9), NotBefore: from, NotAfter: to, KeyUsage: x509.KeyUsageDigitalSignature, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}, URIs: []*url.URL{credential.IdentityURI("k8s", role, "cp0")}}
		der, err := x509.CreateCertificate(rand.Reader, c, ca, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	}
	for _, c := range []struct {
		name     string
		clock    time.Time
		from, to time.Time
		good     bool
	}{
		{"in its life", time.Now(), ca.NotBefore, ca.NotAfter, true},
		{"clock at 1970", time.Unix(0, 0), ca.NotBefore, ca.NotAfter, true},
		{"clock decades ahead", time.Now().AddDate(60, 0, 0), ca.NotBefore, ca.NotAfter, true},
		{"expired", time.Now(), ca.NotBefore, time.Now().Add(-time.Minute), false},
		{"not yet", time.Now(), time.Now().Add(time.Hour), ca.NotAfter, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &rendezvous.Service{Name: "k8s", Store: rendezvous.NewMemoryStore(), Log: slog.New(slog.DiscardHandler)}
			srv := server.New(server.Config{Cluster: "k8s", Service: s, Formation: &formation{}, Certificate: issue(ca.NotBefore, ca.NotAfter, credential.ControlPlane),
				CA: ca, Log: s.Log, Now: func() time.Time { return c.clock }})
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			served := make(chan error, 1)
			go func() { served <- srv.Serve(ctx, l) }()
			cl, err := client.New(client.Config{Servers: []string{l.Addr().String()}, Cluster: "k8s", CA: ca, Certificate: issue(c.from, c.to, credential.Operator),
				Now: func() time.Time { return c.clock }})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := cl.Status(t.Context()); (err == nil) != c.good {
				t.Errorf("status: %v, want good=%v", err, c.good)
			}
			cl.Close()
			cancel()
			if err := <-served; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestClientRefusesServers(t *testing.T) {
	s := open(t)
	otherAuthority := authority(t, "other")
	for what, cfg := range map[string]client.Config{
		"another cluster's CA":   {Servers: []string{s.address}, Cluster: "k8s", CA: certificateOf(t, otherAuthority)},
		"another cluster's name": {Servers: []string{s.address}, Cluster: "other", CA: s.ca},
		"another control plane":  {Servers: []string{s.address}, Cluster: "k8s", CA: s.ca, Peer: "cp1"},
	} {
		cfg.Certificate = s.operator()
		cl, err := client.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cl.Status(t.Context()); rendezvous.CodeOf(err) != rendezvous.CodeUnavailable {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, cfg := range map[string]*tls.Config{
		"an operator's certificate": {Certificates: []tls.Certificate{s.operator()}},
		"TLS 1.2":                   {Certificates: []tls.Certificate{s.plane("cp0")}, MaxVersion: tls.VersionTLS12},
	} {
		l, err := tls.Listen("tcp", "127.0.0.1:0", cfg)
		if err != nil {
			t.Fatal(err)
		}
		fake := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "{}")
		})}
		go func() { _ = fake.Serve(l) }()
		defer fake.Close()
		cl, err := client.New(client.Config{Servers: []string{l.Addr().String()}, Cluster: "k8s", CA: s.ca, Certificate: s.operator()})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cl.Status(t.Context()); rendezvous.CodeOf(err) != rendezvous.CodeUnavailable {
			t.Errorf("%s serves: %v", what, err)
		}
	}
}

func TestClientGoesToTheNextServer(t *testing.T) {
	s := open(t)
	cl, err := client.New(client.Config{Servers: []string{"127.0.0.1:1", s.address}, Cluster: "k8s", CA: s.ca, Certificate: s.operator()})
	if err != nil {
		t.Fatal(err)
	}
	if report, err := cl.Status(t.Context()); err != nil || report.Cluster != "k8s" {
		t.Errorf("status: %+v, %v", report, err)
	}
	if err := cl.Reopen(t.Context(), "nobody"); rendezvous.CodeOf(err) != rendezvous.CodeNotFound {
		t.Errorf("reopen of nobody: %v", err)
	}
}

// What every role may call: all else is refused, and nothing happens.
func TestWhoMayCallWhat(t *testing.T) {
	s := open(t)
	operator, plane := s.operator(), s.plane("cp1")
	callers := map[string]struct {
		http   *http.Client
		bearer string
	}{"worker": {s.http(nil, nil), s.grant("w1")}, "plane": {s.http(&plane, nil), ""}, "operator": {s.http(&operator, nil), ""}}
	ask := `{"machine":"` + machine + `","run":"` + run + `","attempt":1,"seen":0}`
	held := `{"run":"` + run + `","epoch":1}`
	calls := []struct{ method, path, body, allowed string }{
		{"POST", "/v1/enrol", claim, "worker"},
		{"POST", "/v1/progress", `{"machine":"` + machine + `","step":"x"}`, "worker plane"},
		{"POST", "/v1/done", claim, "worker"},
		{"GET", "/v1/status", "", "plane operator"},
		{"POST", "/v1/leases/init/acquire", ask, "plane"},
		{"POST", "/v1/leases/init/renew", held, "plane"},
		{"POST", "/v1/leases/init/commit", held, "plane"},
		{"POST", "/v1/leases/init/release", held, "plane"},
		{"POST", "/v1/leases/join/acquire", ask, "plane"},
		{"POST", "/v1/leases/join/renew", held, "plane"},
		{"POST", "/v1/leases/join/release", held, "plane"},
		{"POST", "/v1/certificates", held, "plane"},
		{"GET", "/v1/membership", "", "plane"},
		{"POST", "/v1/membership/admit", `{"uid":"u","id":1,"address":"a:1"}`, "plane"},
		{"POST", "/v1/membership/confirm", `{"uid":"u"}`, "plane"},
		{"POST", "/v1/operator/reopen", `{"node":"nobody"}`, "operator"},
		{"POST", "/v1/operator/revoke", `{"node":"somebody"}`, "operator"},
		{"POST", "/v1/operator/revoke", `{"pool":"some"}`, "operator"},
	}
	for _, c := range calls {
		for name, caller := range callers {
			a, err := s.ask(call{by: caller.http, method: c.method, path: c.path, bearer: caller.bearer, body: c.body})
			if err != nil {
				t.Fatal(err)
			}
			if forbidden := a.code == rendezvous.CodeForbidden; forbidden == strings.Contains(c.allowed, name) {
				t.Errorf("%s: %s %s: %d %s", name, c.method, c.path, a.status, a.body)
			}
		}
	}
	if len(s.formation.admitted) != 1 || s.formation.admitted[0].Node != "cp1" {
		t.Errorf("admitted: %+v: the name is the credential's", s.formation.admitted)
	}
}

func TestWorkerAsksForMore(t *testing.T) {
	s := open(t)
	h, grant := s.http(nil, nil), s.grant("w1")
	s.want(call{by: h, path: "/v1/enrol", bearer: grant, body: `{"name":"w2","machine":"` + machine + `"}`}, http.StatusForbidden, rendezvous.CodeForbidden)
	s.want(call{by: h, path: "/v1/enrol", bearer: grant, body: `{"name":"cp0","machine":"` + machine + `"}`}, http.StatusForbidden, rendezvous.CodeForbidden)
	s.want(call{by: h, path: "/v1/done", bearer: grant, body: `{"name":"cp0","machine":"` + machine + `"}`}, http.StatusForbidden, rendezvous.CodeForbidden)
	s.want(call{by: h, path: "/v1/enrol", bearer: grant, body: `{"machine":"` + machine + `","role":"control-plane"}`}, http.StatusBadRequest, rendezvous.CodeInvalid)
	if err := s.client(s.operator()).RevokeNode(t.Context(), "w1"); err != nil {
		t.Fatal(err)
	}
	s.want(call{by: h, path: "/v1/enrol", bearer: grant, body: claim}, http.StatusForbidden, rendezvous.CodeRevoked)
	s.want(call{by: h, path: "/v1/enrol", bearer: s.grant("w2"), body: claim}, http.StatusOK, "")
	if err := s.client(s.operator()).RevokeNode(t.Context(), "cp1"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.client(s.plane("cp1")).AcquireJoin(t.Context(), rendezvous.Ask{Machine: machine, Run: run, Attempt: 1}); rendezvous.CodeOf(err) != rendezvous.CodeRevoked {
		t.Errorf("a revoked control plane: %v", err)
	}
}

func TestMalformedBodies(t *testing.T) {
	s := open(t)
	h := s.http(nil, nil)
	for _, body := range []string{
		"", "null x", "[]", `"x"`, "{", `{"machine":1}`, `{"machine":"` + machine + `"}{}`, `{"machine":"` + machine + `"} trailing`,
		`{"Machine2":"x"}`, strings.Repeat("[", 10000), `{"machine":"` + strings.Repeat("a", 3000) + `"}`, "\x00\xff", `{"machine":"../../etc"}`,
	} {
		s.want(call{by: h, path: "/v1/enrol", bearer: s.grant("w1"), body: body}, http.StatusBadRequest, rendezvous.CodeInvalid)
	}
	s.want(call{by: h, path: "/v1/enrol", bearer: s.grant("w1"), body: `{"machine":"` + strings.Repeat("a", rendezvous.MaxBody) + `"}`}, http.StatusRequestEntityTooLarge, rendezvous.CodeTooLarge)
	if s.k.Minted != 0 {
		t.Errorf("%d tokens were minted", s.k.Minted)
	}
}

func TestPathsAndMethods(t *testing.T) {
	s := open(t)
	h, grant := s.http(nil, nil), s.grant("w1")
	for _, path := range []string{
		"/", "/v1", "/v1/", "/v1//enrol", "//v1/enrol", "/v1/../v1/enrol", "/v1/./enrol", "/v1/enrol/", "/v1/enrol%2f", "/v1%2fenrol", "/v1/%2e%2e/v1/enrol", "/V1/enrol",
		"/v1/leases", "/v1/leases/init", "/v1/leases/other/acquire", "/debug/pprof/", "/v1\\enrol",
	} {
		a, err := s.ask(call{by: h, path: path, bearer: grant, body: claim})
		if err != nil || a.status != http.StatusNotFound && a.status != http.StatusBadRequest || a.header.Get("Location") != "" {
			t.Errorf("%s: %+v, %v", path, a, err)
		}
	}
	for _, method := range []string{"GET", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT"} {
		if a, err := s.ask(call{by: h, method: method, path: "/v1/enrol", bearer: grant}); err == nil && a.status == http.StatusOK {
			t.Errorf("%s /v1/enrol: %+v", method, a)
		}
	}
	if s.k.Minted != 0 {
		t.Errorf("%d tokens were minted", s.k.Minted)
	}
}

func TestHealthAndMetrics(t *testing.T) {
	s := open(t)
	h := s.http(nil, nil)
	if a, err := s.ask(call{by: h, method: "GET", path: "/healthz"}); err != nil || a.status != http.StatusOK || a.body != "ok\n" {
		t.Errorf("healthz from here without a credential: %+v, %v", a, err)
	}
	s.want(call{by: h, path: "/v1/enrol", bearer: s.grant("w1"), body: claim}, http.StatusOK, "")
	a, err := s.ask(call{by: h, method: "GET", path: "/metrics"})
	if err != nil || a.status != http.StatusOK {
		t.Fatalf("metrics: %+v, %v", a, err)
	}
	for _, line := range []string{
		"muster_rendezvous_store_up 1", "muster_rendezvous_init_committed 1", `muster_rendezvous_nodes{role="worker",state="open"} 1`,
		`muster_rendezvous_nodes{role="control-plane",state="joined"} 1`, `muster_rendezvous_answers_total{status="200"} 2`, `muster_rendezvous_lease_epoch{lease="init"} 1`,
	} {
		if !strings.Contains(a.body, line+"\n") {
			t.Errorf("metrics lack %s:\n%s", line, a.body)
		}
	}
}

func TestLocalCallsFromElsewhereNeedACredential(t *testing.T) {
	s := open(t)
	srv := server.New(server.Config{Cluster: "k8s", Service: s.service, Formation: s.formation, Certificate: s.plane("cp0"), CA: s.ca, Log: slog.New(slog.DiscardHandler)})
	address := ownAddress(t)
	l, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ctx, l) }()
	s.address = l.Addr().String()
	skipName := func(c *tls.Config) { c.ServerName = "cp0" }
	s.want(call{by: s.http(nil, skipName), method: "GET", path: "/healthz"}, http.StatusUnauthorized, rendezvous.CodeUnauthenticated)
	s.want(call{by: s.http(nil, skipName), method: "GET", path: "/metrics"}, http.StatusUnauthorized, rendezvous.CodeUnauthenticated)
	operator := s.operator()
	s.want(call{by: s.http(&operator, skipName), method: "GET", path: "/healthz"}, http.StatusOK, "")
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// ownAddress is an address of this machine that is not loopback. A connection to it comes from it.
func ownAddress(t *testing.T) string {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && n.IP.To4() != nil {
			return n.IP.String()
		}
	}
	t.Fatal("this machine has no address but loopback: give an interface one, such as 192.0.2.1/32 on a dummy")
	return ""
}

// from dials with a source address of its own in 127.0.0.0/8.
func (s *site) from(source string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}, Timeout: 5 * time.Second}
	return d.Dial("tcp", s.address)
}

// 2,000 connections of one address, half of them mute, half that stop within a TLS handshake, keep nobody else out.
func TestTwoThousandConnections(t *testing.T) {
	s := open(t)
	var conns []net.Conn
	for i := range 2000 {
		c, err := s.from("127.0.0.66")
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		conns = append(conns, c)
		if i%2 == 0 {
			_, _ = c.Write([]byte{22, 3, 1, 2, 0}) // the beginning of a handshake; the connection may be reset by now
		}
	}
	begin := time.Now()
	s.want(call{by: s.http(nil, nil), path: "/v1/enrol", bearer: s.grant("w1"), body: claim}, http.StatusOK, "")
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("an honest worker waited for %s", took)
	}
	a, err := s.ask(call{by: s.http(nil, nil), method: "GET", path: "/metrics"})
	if err != nil || strings.Contains(a.body, "connections_refused_total 0\n") {
		t.Errorf("nothing was refused: %+v, %v", a, err)
	}
	for _, c := range conns {
		_ = c.Close()
	}
	// The address is not banned for ever.
	deadline := time.Now().Add(10 * time.Second)
	for {
		c, err := s.from("127.0.0.66")
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AddCert(s.ca)
		err = tls.Client(c, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}).Handshake()
		_ = c.Close()
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the address stays locked out: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func TestErrorsOfTheStoreAreNotShown(t *testing.T) {
	s := open(t)
	s.k.Fail(errors.New("dial tcp 10.0.0.1:6443: secret detail"))
	a, err := s.ask(call{by: s.http(nil, nil), path: "/v1/enrol", bearer: s.grant("w1"), body: claim})
	if err != nil || a.status != http.StatusServiceUnavailable || strings.Contains(a.body, "secret detail") || a.header.Get("Retry-After") == "" {
		t.Errorf("%+v, %v", a, err)
	}
	if !strings.Contains(s.log.String(), "secret detail") {
		t.Error("the log does not say why")
	}
}
