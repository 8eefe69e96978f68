package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path"
	"strconv"
	"strings"

	"muster/internal/rendezvous"
	"muster/internal/rendezvous/limit"
	"muster/internal/secrets/credential"
)

// request is one authenticated request.
type request struct {
	*http.Request
	id rendezvous.Identity
}

// handler returns what to send: nil for nothing, []byte as it is, all else as JSON.
type handler func(r request) (any, error)

// routes is the whole API; docs/rendezvous-api.md has a curl line for each.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, h handler) { mux.Handle(pattern, s.endpoint(h, false)) }
	local := func(pattern string, h handler) { mux.Handle(pattern, s.endpoint(h, true)) }

	local("GET /healthz", s.healthz)
	local("GET /metrics", s.metrics)
	handle("GET /v1/status", s.status)
	handle("POST /v1/enrol", s.enrol)
	handle("POST /v1/progress", s.progress)
	handle("POST /v1/done", s.done)
	handle("POST /v1/leases/init/acquire", lease(s.Service.AcquireInit))
	handle("POST /v1/leases/init/renew", lease(s.Service.RenewInit))
	handle("POST /v1/leases/init/commit", lease(s.Service.CommitInit))
	handle("POST /v1/leases/init/release", lease(s.Service.ReleaseInit))
	handle("POST /v1/leases/join/acquire", lease(s.Service.AcquireJoin))
	handle("POST /v1/leases/join/renew", lease(s.Service.RenewJoin))
	handle("POST /v1/leases/join/release", lease(s.Service.ReleaseJoin))
	handle("POST /v1/certificates", s.certificates)
	handle("POST /v1/operator/reopen", s.reopen)
	handle("POST /v1/operator/revoke", s.revoke)
	handle("GET /v1/membership", s.membership)
	handle("POST /v1/membership/admit", s.admit)
	handle("POST /v1/membership/confirm", s.confirm)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, rendezvous.Errorf(rendezvous.CodeNotFound, "there is no such call: see docs/rendezvous-api.md"))
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The mux would redirect such a path, and a client would repeat its credential there.
		if r.URL.RawPath != "" || path.Clean(r.URL.Path) != r.URL.Path || strings.Contains(r.URL.Path, "\\") {
			s.fail(w, r, rendezvous.Errorf(rendezvous.CodeNotFound, "there is no such call: see docs/rendezvous-api.md"))
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// endpoint authenticates, bounds the body, and sends the answer. local ones need no credential from this very machine.
func (s *Server) endpoint(h handler, local bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := s.identify(r)
		if local && fromHere(r) {
			err = nil
		}
		if err != nil {
			s.fail(w, r, err)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, rendezvous.MaxBody)
		value, err := h(request{r, id})
		if err != nil {
			s.fail(w, r, err)
			return
		}
		s.send(w, r, http.StatusOK, value)
	})
}

// identify says who asks: the owner of the client certificate, or of the bearer token.
func (s *Server) identify(r *http.Request) (rendezvous.Identity, error) {
	bearer := r.Header.Values("Authorization")
	certs := r.TLS.PeerCertificates
	switch {
	case len(certs) > 0 && len(bearer) > 0, len(bearer) > 1:
		return rendezvous.Identity{}, rendezvous.Errorf(rendezvous.CodeUnauthenticated, "one credential is expected: a client certificate or one bearer token")
	case len(certs) > 0 && r.TLS.Version < tls.VersionTLS13:
		return rendezvous.Identity{}, rendezvous.Errorf(rendezvous.CodeUnauthenticated, "a client certificate is taken over TLS 1.3 only")
	case len(certs) > 0:
		return s.certified(r, certs[0])
	case len(bearer) == 0:
		return rendezvous.Identity{}, rendezvous.Errorf(rendezvous.CodeUnauthenticated, "no credential: a client certificate or a bearer token is needed")
	}
	token, ok := strings.CutPrefix(bearer[0], "Bearer ")
	if !ok {
		return rendezvous.Identity{}, rendezvous.Errorf(rendezvous.CodeUnauthenticated, "authorization: send one header Authorization: Bearer GRANT")
	}
	id, err := credential.VerifyGrant(s.CA, s.Cluster, token)
	if err != nil {
		return id, rendezvous.Errorf(rendezvous.CodeUnauthenticated, "%v", err)
	}
	return id, nil
}

// certified is the owner of a certificate that crypto/tls verified. A control plane's connection shows one more address
// of it.
func (s *Server) certified(r *http.Request, certificate *x509.Certificate) (rendezvous.Identity, error) {
	id, err := credential.FromCertificate(certificate, s.Cluster)
	if err != nil {
		return id, rendezvous.Errorf(rendezvous.CodeUnauthenticated, "%v", err)
	}
	if id.Role == credential.ControlPlane && s.Revoked != nil && s.Revoked(id.Name) {
		return id, rendezvous.Errorf(rendezvous.CodeRevoked, "the credential of %s is revoked", id.Name)
	}
	if address, err := netip.ParseAddr(limit.Host(r.RemoteAddr)); err == nil && id.Role == credential.ControlPlane {
		id.Addresses = append(id.Addresses, address.Unmap())
	}
	return id, nil
}

func fromHere(r *http.Request) bool {
	ip := net.ParseIP(limit.Host(r.RemoteAddr))
	return ip != nil && ip.IsLoopback()
}

// decode reads one JSON object strictly: an unknown key is a client of another version, and is told so.
func decode[T any](r request) (T, error) {
	var value T
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(&value)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = errors.New("something follows the object")
		}
	}
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return value, rendezvous.Errorf(rendezvous.CodeTooLarge, "the body is larger than %d bytes", rendezvous.MaxBody)
	case err != nil:
		// Without the decoder's own words: they quote the body, which may hold anything.
		return value, rendezvous.Errorf(rendezvous.CodeInvalid, "the body is not the JSON object that this call takes: see docs/rendezvous-api.md")
	}
	return value, nil
}

func lease[T any](call func(context.Context, rendezvous.Identity, T) (rendezvous.Lease, error)) handler {
	return func(r request) (any, error) {
		body, err := decode[T](r)
		if err != nil {
			return nil, err
		}
		return call(r.Context(), r.id, body)
	}
}

func (s *Server) enrol(r request) (any, error) {
	body, err := decode[rendezvous.Enrolment](r)
	if err != nil {
		return nil, err
	}
	return s.Service.Enrol(r.Context(), r.id, body.Claim, body.Held)
}

func (s *Server) progress(r request) (any, error) {
	body, err := decode[rendezvous.Report](r)
	if err != nil {
		return nil, err
	}
	return nil, s.Service.Progress(r.Context(), r.id, body)
}

func (s *Server) done(r request) (any, error) {
	body, err := decode[rendezvous.Claim](r)
	if err != nil {
		return nil, err
	}
	return nil, s.Service.Done(r.Context(), r.id, body)
}

// certificates collects the stream first: a few KiB, and an error must not look like the end of a whole one.
func (s *Server) certificates(r request) (any, error) {
	body, err := decode[rendezvous.Held](r)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = s.Service.Certificates(r.Context(), r.id, body, &b)
	return b.Bytes(), err
}

func (s *Server) reopen(r request) (any, error) {
	body, err := decode[rendezvous.OperatorRequest](r)
	if err != nil {
		return nil, err
	}
	return nil, s.Service.Reopen(r.Context(), r.id, body.Node)
}

func (s *Server) revoke(r request) (any, error) {
	body, err := decode[rendezvous.OperatorRequest](r)
	switch {
	case err != nil:
		return nil, err
	case (body.Node == "") == (body.Pool == ""):
		return nil, rendezvous.Errorf(rendezvous.CodeInvalid, "node or pool: exactly one of the two is expected")
	case body.Pool != "":
		return nil, s.Service.RevokePool(r.Context(), r.id, body.Pool)
	}
	return nil, s.Service.RevokeNode(r.Context(), r.id, body.Node)
}

func (s *Server) status(r request) (any, error) {
	if r.id.Role == credential.Worker {
		return nil, rendezvous.Errorf(rendezvous.CodeForbidden, "this call is for control planes and the operator")
	}
	return s.Service.Status(r.Context())
}

func (s *Server) membership(r request) (any, error) {
	if err := s.peer(r); err != nil {
		return nil, err
	}
	return s.Formation.Membership(r.Context())
}

func (s *Server) admit(r request) (any, error) {
	if err := s.peer(r); err != nil {
		return nil, err
	}
	body, err := decode[rendezvous.Admission](r)
	if err != nil {
		return nil, err
	}
	body.Node = r.id.Name
	return nil, s.Formation.Admit(r.Context(), body)
}

func (s *Server) confirm(r request) (any, error) {
	if err := s.peer(r); err != nil {
		return nil, err
	}
	body, err := decode[rendezvous.Confirmation](r)
	if err != nil {
		return nil, err
	}
	return nil, s.Formation.Confirm(r.Context(), body.UID)
}

func (s *Server) peer(r request) error {
	if r.id.Role != credential.ControlPlane {
		return rendezvous.Errorf(rendezvous.CodeForbidden, "this call is for control planes")
	}
	return nil
}

// statuses is the one table of codes and HTTP statuses.
var statuses = map[rendezvous.Code]int{
	rendezvous.CodeInvalid:         http.StatusBadRequest,
	rendezvous.CodeUnauthenticated: http.StatusUnauthorized,
	rendezvous.CodeForbidden:       http.StatusForbidden,
	rendezvous.CodeRevoked:         http.StatusForbidden,
	rendezvous.CodeNotFound:        http.StatusNotFound,
	rendezvous.CodeHeld:            http.StatusConflict,
	rendezvous.CodeSuperseded:      http.StatusConflict,
	rendezvous.CodeCommitted:       http.StatusConflict,
	rendezvous.CodeConflict:        http.StatusConflict,
	rendezvous.CodeClosed:          http.StatusGone,
	rendezvous.CodeTooLarge:        http.StatusRequestEntityTooLarge,
	rendezvous.CodeInternal:        http.StatusInternalServerError,
	rendezvous.CodeWaiting:         http.StatusServiceUnavailable,
	rendezvous.CodeUnavailable:     http.StatusServiceUnavailable,
}

func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	var e *rendezvous.Error
	if !errors.As(err, &e) {
		e = rendezvous.Errorf(rendezvous.CodeInternal, "the rendezvous failed; its log says more")
		s.Log.Error("a call failed", "call", r.URL.Path, "error", err)
	} else if cause := errors.Unwrap(e); cause != nil && !errors.Is(cause, rendezvous.ErrNoCluster) {
		// ErrNoCluster is nothing to warn of while this machine waits to join.
		s.Log.Warn("a call failed", "call", r.URL.Path, "code", e.Code, "error", cause)
	}
	status, ok := statuses[e.Code]
	if !ok {
		status = http.StatusInternalServerError
	}
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(e.RetryAfter))
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	s.send(w, r, status, e)
}

func (s *Server) send(w http.ResponseWriter, r *http.Request, status int, value any) {
	s.answers.count(status)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "application/json")
	data, raw := value.([]byte)
	switch {
	case value == nil:
		data = []byte("{}\n")
	case raw:
		w.Header().Set("Content-Type", "application/octet-stream")
	default:
		var err error
		if data, err = json.Marshal(value); err != nil {
			s.Log.Error("an answer could not be encoded", "call", r.URL.Path, "error", err)
			status, data = http.StatusInternalServerError, []byte(`{"code":"internal"}`)
		}
		data = append(data, '\n')
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(status)
	if _, err := w.Write(data); err != nil {
		s.Log.Debug("an answer was not taken", "call", r.URL.Path, "error", err)
	}
}

func (s *Server) healthz(r request) (any, error) {
	ctx, cancel := context.WithTimeout(r.Context(), probeTimeout)
	defer cancel()
	if _, err := s.Service.Formed(ctx); err != nil {
		return nil, err
	}
	return []byte("ok\n"), nil
}
