package secrets

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"muster/internal/secrets/credential"
)

// testBundle is a bundle with a seed of one repeated byte; 0 is the public one.
func testBundle(t *testing.T, seed byte) *Bundle {
	t.Helper()
	b, err := newBundle(bytes.NewReader(bytes.Repeat([]byte{seed}, seedSize)), testNow)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustAuthority(t *testing.T, b *Bundle, cluster string) *Authority {
	t.Helper()
	a, err := b.Authority(cluster)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func mustControlPlane(t *testing.T, a *Authority, name string, addresses ...string) credential.KeyPair {
	t.Helper()
	var parsed []netip.Addr
	for _, address := range addresses {
		parsed = append(parsed, netip.MustParseAddr(address))
	}
	pair, err := a.ControlPlane(name, parsed)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func mustOperator(t *testing.T, a *Authority) credential.KeyPair {
	t.Helper()
	pair, err := a.Operator()
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func mustGrant(t *testing.T, a *Authority, name string) string {
	t.Helper()
	grant, err := a.WorkerGrant(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(grant.Reveal())
}

func mustPoolGrant(t *testing.T, a *Authority, name string, maxNodes int, until time.Time) string {
	t.Helper()
	grant, err := a.PoolGrant(name, maxNodes, until)
	if err != nil {
		t.Fatal(err)
	}
	return string(grant.Reveal())
}

func parse(t *testing.T, certificate []byte) *x509.Certificate {
	t.Helper()
	block, rest := pem.Decode(certificate)
	if block == nil || block.Type != "CERTIFICATE" || len(rest) != 0 {
		t.Fatalf("not one certificate: %s", certificate)
	}
	parsed, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// credentials are everything that a small cluster gets, by what it is.
func credentials(t *testing.T, b *Bundle, cluster string) map[string]string {
	a := mustAuthority(t, b, cluster)
	master, operator := mustControlPlane(t, a, "k8s-master", "192.168.31.130"), mustOperator(t, a)
	return map[string]string{
		"ca":                   string(a.Certificate()),
		"master's certificate": string(master.Certificate),
		"master's key":         string(master.Key.Reveal()),
		"operator certificate": string(operator.Certificate),
		"operator's key":       string(operator.Key.Reveal()),
		"grant":                mustGrant(t, a, "k8s-node1"),
		"pool grant":           mustPoolGrant(t, a, "spot", 10, time.Date(2027, 12, 31, 0, 0, 0, 0, time.UTC)),
	}
}

// The bytes are a promise: another derivation would give nodes that are added next year another CA than those that run.
// A change here needs a new format of the bundle, beside the old one.
func TestDerivationIsForEver(t *testing.T) {
	want := map[string]string{
		"ca":                   "d88ed6f176311dc0",
		"master's certificate": "0e0634c6fbddec88",
		"master's key":         "6eba27a8685b7104",
		"operator certificate": "0c9aeac9859788a4",
		"operator's key":       "faed3fd13642945e",
		"grant":                "46b13aa0ed7ee23a",
		"pool grant":           "8733c1dd2ec57af9",
	}
	got := credentials(t, Test(), "k8s")
	for what, text := range got {
		sum := sha256.Sum256([]byte(text))
		if hex.EncodeToString(sum[:8]) != want[what] {
			t.Errorf("%q: %q,", what, hex.EncodeToString(sum[:8]))
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d credentials, %d sums", len(got), len(want))
	}
}

func TestSameBundleSameBytes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.secrets")
	if _, _, err := loadOrCreate(path, bytes.NewReader(bytes.Repeat([]byte{5}, seedSize)), testNow); err != nil {
		t.Fatal(err)
	}
	loaded, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	first, second := credentials(t, testBundle(t, 5), "k8s"), credentials(t, loaded, "k8s")
	for what := range first {
		if first[what] != second[what] {
			t.Errorf("%s differs", what)
		}
	}
}

func TestNothingIsSharedBetweenBundlesOrClusters(t *testing.T) {
	base := credentials(t, testBundle(t, 5), "k8s")
	for name, other := range map[string]map[string]string{
		"another seed":    credentials(t, testBundle(t, 6), "k8s"),
		"another cluster": credentials(t, testBundle(t, 5), "k8s2"),
	} {
		for what := range base {
			if base[what] == other[what] {
				t.Errorf("%s: the same %s", name, what)
			}
		}
	}
}

// Keys and serial numbers differ between any two names, roles and purposes, also where joined texts are alike.
func TestKeysAndSerialsAreDistinct(t *testing.T) {
	a := mustAuthority(t, testBundle(t, 5), "k8s")
	seen := map[string]string{}
	note := func(what, value string) {
		if before, ok := seen[value]; ok {
			t.Errorf("%s and %s share %.30s", before, what, value)
		}
		seen[value] = what
	}
	ca := parse(t, a.Certificate())
	note("ca key", string(ca.RawSubjectPublicKeyInfo))
	note("ca serial", ca.SerialNumber.String())
	pairs := map[string]credential.KeyPair{"operator": mustOperator(t, a)}
	for _, name := range []string{"operator", "a", "b", "ab", "a.b", "1", "11"} {
		pairs["control plane "+name] = mustControlPlane(t, a, name)
	}
	for what, pair := range pairs {
		certificate := parse(t, pair.Certificate)
		note(what+" key", string(certificate.RawSubjectPublicKeyInfo))
		note(what+" serial", certificate.SerialNumber.String())
	}
	note("moved a's serial", parse(t, mustControlPlane(t, a, "a", "10.0.0.1").Certificate).SerialNumber.String())
	until := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	for what, grant := range map[string]string{
		"worker a": mustGrant(t, a, "a"), "pool a": mustPoolGrant(t, a, "a", 1, time.Time{}), "pool a of 2": mustPoolGrant(t, a, "a", 2, time.Time{}),
		"pool a until": mustPoolGrant(t, a, "a", 1, until),
	} {
		id, err := credential.VerifyGrant(ca, "k8s", grant)
		if err != nil {
			t.Fatal(err)
		}
		note(what+" serial", id.Serial)
	}
}

// What a node gets is a function of the bundle, its cluster's name and what the spec says about this node. Making
// others before, after or in between changes nothing.
func TestAddingANodeChangesNoOther(t *testing.T) {
	alone := mustControlPlane(t, mustAuthority(t, testBundle(t, 5), "k8s"), "cp1", "10.0.0.1")
	aloneGrant := mustGrant(t, mustAuthority(t, testBundle(t, 5), "k8s"), "w1")

	a := mustAuthority(t, testBundle(t, 5), "k8s")
	for i := range 20 {
		mustControlPlane(t, a, fmt.Sprint("other", i), "10.0.0.2")
		mustGrant(t, a, fmt.Sprint("worker", i))
	}
	among, amongGrant := mustControlPlane(t, a, "cp1", "10.0.0.1"), mustGrant(t, a, "w1")
	if !bytes.Equal(alone.Certificate, among.Certificate) || !bytes.Equal(alone.Key.Reveal(), among.Key.Reveal()) || aloneGrant != amongGrant {
		t.Error("a credential depends on others")
	}
	moved := mustControlPlane(t, a, "cp1", "10.0.0.9")
	if bytes.Equal(alone.Certificate, moved.Certificate) || !bytes.Equal(alone.Key.Reveal(), moved.Key.Reveal()) {
		t.Error("another address: want another certificate of the same key")
	}
}

func TestChains(t *testing.T) {
	a := mustAuthority(t, testBundle(t, 5), "k8s")
	ca := parse(t, a.Certificate())
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	master := parse(t, mustControlPlane(t, a, "k8s-master", "192.168.31.130", "2001:db8::1").Certificate)
	operator := parse(t, mustOperator(t, a).Certificate)
	server, client := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}

	otherRoots := x509.NewCertPool()
	otherRoots.AddCert(parse(t, mustAuthority(t, testBundle(t, 6), "k8s").Certificate()))
	verify := func(c *x509.Certificate, roots *x509.CertPool, host string, usage []x509.ExtKeyUsage, at time.Time) error {
		_, err := c.Verify(x509.VerifyOptions{Roots: roots, DNSName: host, KeyUsages: usage, CurrentTime: at})
		return err
	}
	for _, year := range []int{2000, 2001, 2026, 9999} {
		at := time.Date(year, time.June, 1, 0, 0, 0, 0, time.UTC)
		for _, host := range []string{"k8s-master", "192.168.31.130", "2001:db8::1"} {
			if err := verify(master, roots, host, server, at); err != nil {
				t.Errorf("%d: %s: %v", year, host, err)
			}
		}
		for _, c := range []*x509.Certificate{master, operator} {
			if err := verify(c, roots, "", client, at); err != nil {
				t.Errorf("%d: %s as a client: %v", year, c.Subject, err)
			}
		}
	}
	for name, err := range map[string]error{
		"another host":         verify(master, roots, "k8s-node1", server, testNow),
		"another address":      verify(master, roots, "192.168.31.131", server, testNow),
		"operator as a server": verify(operator, roots, "", server, testNow),
		"another CA":           verify(master, otherRoots, "", client, testNow),
	} {
		if err == nil {
			t.Errorf("%s: verified", name)
		}
	}
	// A node's key can make no certificate that anybody accepts.
	if master.IsCA || operator.IsCA || master.KeyUsage&x509.KeyUsageCertSign != 0 || !ca.IsCA || !ca.MaxPathLenZero {
		t.Error("basic constraints or key usage let a node sign certificates")
	}
	if ca.Subject.CommonName != "k8s" || !bytes.Equal(master.AuthorityKeyId, ca.SubjectKeyId) {
		t.Errorf("subject %s, authority key %x", ca.Subject, master.AuthorityKeyId)
	}
}

func TestCertificatesProveIdentities(t *testing.T) {
	a := mustAuthority(t, testBundle(t, 5), "k8s")
	for _, c := range []struct {
		pair credential.KeyPair
		role credential.Role
		name string
	}{
		{mustControlPlane(t, a, "k8s-master", "::ffff:192.168.31.130"), credential.ControlPlane, "k8s-master"},
		{mustControlPlane(t, a, strings.Repeat("a.", 126)+"a"), credential.ControlPlane, strings.Repeat("a.", 126) + "a"},
		{mustOperator(t, a), credential.Operator, credential.OperatorName},
	} {
		certificate := parse(t, c.pair.Certificate)
		id, err := credential.FromCertificate(certificate, "k8s")
		if err != nil || id.Role != c.role || id.Name != c.name || id.Cluster != "k8s" || len(id.Serial) != 32 {
			t.Errorf("identity = %+v, %v, want %s %s", id, err, c.role, c.name)
		}
		for _, address := range id.Addresses {
			if address != netip.MustParseAddr("192.168.31.130") {
				t.Errorf("address %s", address)
			}
		}
		if len(certificate.Subject.CommonName) > 64 {
			t.Errorf("common name of %d characters", len(certificate.Subject.CommonName))
		}
	}
}

func TestGrantsAreOfTheirClusterAndBundle(t *testing.T) {
	b := testBundle(t, 5)
	a := mustAuthority(t, b, "k8s")
	ca := parse(t, a.Certificate())
	for name, c := range map[string]struct {
		grant string
		want  error
	}{
		"own":                         {mustGrant(t, a, "w1"), nil},
		"another cluster, one bundle": {mustGrant(t, mustAuthority(t, b, "k9s"), "w1"), credential.ErrGrantForged},
		"another bundle, one name":    {mustGrant(t, mustAuthority(t, testBundle(t, 6), "k8s"), "w1"), credential.ErrGrantForged},
	} {
		if _, err := credential.VerifyGrant(ca, "k8s", c.grant); err != c.want {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	id, err := credential.VerifyGrant(ca, "k8s", mustPoolGrant(t, a, "spot", 3, time.Time{}))
	if err != nil || id.Name != "spot" || id.Pool == nil || id.Pool.MaxNodes != 3 || !id.Pool.JoinUntil.IsZero() {
		t.Errorf("pool: %+v, %v", id, err)
	}
}

func TestAuthorityRefuses(t *testing.T) {
	b := testBundle(t, 5)
	for _, cluster := range []string{"", "K8s", "a/b", "a\x00b"} {
		if _, err := b.Authority(cluster); err == nil {
			t.Errorf("cluster %q is accepted", cluster)
		}
	}
	a := mustAuthority(t, b, strings.Repeat("a-", 31)+"a")
	if _, err := a.WorkerGrant("UP"); err == nil {
		t.Error("a grant for a name that no node can have")
	}
	if _, err := a.PoolGrant("p", 0, time.Time{}); err == nil {
		t.Error("a grant for no machine")
	}
	if _, err := a.ControlPlane("a b", nil); err == nil {
		t.Error("a certificate for a name that no node can have")
	}
	for _, address := range []netip.Addr{{}, netip.IPv4Unspecified(), netip.MustParseAddr("fe80::1%eth0")} {
		if _, err := a.ControlPlane("a", []netip.Addr{address}); err == nil {
			t.Errorf("a certificate for address %s", address)
		}
	}
}

// handshakeLimit only ends a test that hangs.
const handshakeLimit = time.Minute

// handshake connects client to server over loopback and returns what each saw of the other.
func handshake(t *testing.T, server, client *tls.Config) (seenByServer, seenByClient tls.ConnectionState, err error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	type result struct {
		state tls.ConnectionState
		err   error
	}
	served := make(chan result, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			served <- result{err: err}
			return
		}
		secured := tls.Server(conn, server)
		defer secured.Close()
		err = secured.SetDeadline(time.Now().Add(handshakeLimit))
		if err == nil {
			_, err = secured.Write([]byte("hello"))
		}
		served <- result{secured.ConnectionState(), err}
	}()
	conn, err := net.DialTimeout("tcp", listener.Addr().String(), handshakeLimit)
	if err != nil {
		t.Fatal(err)
	}
	secured := tls.Client(conn, client)
	if err := secured.SetDeadline(time.Now().Add(handshakeLimit)); err != nil {
		t.Fatal(err)
	}
	_, clientErr := io.ReadAll(secured)
	conn.Close()
	got := <-served
	if got.err != nil {
		return got.state, secured.ConnectionState(), got.err
	}
	return got.state, secured.ConnectionState(), clientErr
}

func TestHandshakes(t *testing.T) {
	a := mustAuthority(t, testBundle(t, 5), "k8s")
	config := func(a *Authority, pair credential.KeyPair, serverName string) *tls.Config {
		certificate, err := pair.TLS()
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AddCert(parse(t, a.Certificate()))
		return &tls.Config{
			Certificates: []tls.Certificate{certificate}, RootCAs: roots, ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert,
			ServerName: serverName, MinVersion: tls.VersionTLS13,
		}
	}
	cp1, cp2 := mustControlPlane(t, a, "cp1", "10.0.0.1"), mustControlPlane(t, a, "cp2", "10.0.0.2")
	for name, c := range map[string]struct {
		client     credential.KeyPair
		serverName string
		role       credential.Role
	}{
		"control plane by name":    {cp2, "cp1", credential.ControlPlane},
		"control plane by address": {cp2, "10.0.0.1", credential.ControlPlane},
		"operator":                 {mustOperator(t, a), "10.0.0.1", credential.Operator},
	} {
		server, client, err := handshake(t, config(a, cp1, ""), config(a, c.client, c.serverName))
		if err != nil || server.Version != tls.VersionTLS13 {
			t.Errorf("%s: %v, version %x", name, err, server.Version)
			continue
		}
		id, err := credential.FromCertificate(server.PeerCertificates[0], "k8s")
		if err != nil || id.Role != c.role {
			t.Errorf("%s: the server sees %+v, %v", name, id, err)
		}
		id, err = credential.FromCertificate(client.PeerCertificates[0], "k8s")
		if err != nil || id.Name != "cp1" {
			t.Errorf("%s: the client sees %+v, %v", name, id, err)
		}
	}
	foreign := mustAuthority(t, testBundle(t, 6), "k8s")
	if _, _, err := handshake(t, config(a, cp1, ""), config(a, cp2, "cp2")); err == nil {
		t.Error("cp1 passes for cp2")
	}
	if _, _, err := handshake(t, config(a, cp1, ""), config(a, mustControlPlane(t, foreign, "cp2"), "cp1")); err == nil {
		t.Error("a client of another bundle is let in")
	}
	if _, _, err := handshake(t, config(foreign, mustControlPlane(t, foreign, "cp1"), ""), config(a, cp2, "cp1")); err == nil {
		t.Error("a server of another bundle is believed")
	}
}

// What other implementations make of the files: OpenSSL's is the one behind most nodes' curl.
func TestOpenSSLReadsTheFiles(t *testing.T) {
	a := mustAuthority(t, testBundle(t, 5), "k8s")
	pair := mustControlPlane(t, a, "k8s-master", "192.168.31.130")
	folder := t.TempDir()
	for name, text := range map[string][]byte{"ca.pem": a.Certificate(), "cert.pem": pair.Certificate, "key.pem": pair.Key.Reveal()} {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	openssl := func(args ...string) string {
		command := exec.Command("openssl", args...)
		command.Dir = folder
		output, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, output)
		}
		return string(output)
	}
	openssl("pkey", "-in", "key.pem", "-check", "-noout")
	ofKey, ofCertificate := openssl("pkey", "-in", "key.pem", "-pubout"), openssl("x509", "-in", "cert.pem", "-noout", "-pubkey")
	if ofKey != ofCertificate {
		t.Error("the key is not the certificate's")
	}
	openssl("verify", "-x509_strict", "-CAfile", "ca.pem", "-purpose", "sslserver", "-verify_ip", "192.168.31.130", "cert.pem")
	openssl("verify", "-x509_strict", "-CAfile", "ca.pem", "-purpose", "sslclient", "-verify_hostname", "k8s-master", "cert.pem")
	text := openssl("x509", "-in", "cert.pem", "-noout", "-text")
	for _, want := range []string{"prime256v1", "ecdsa-with-SHA256", "URI:muster://k8s/control-plane/k8s-master", "Dec 31 23:59:59 9999", "Jan  1 00:00:00 2000"} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is missing in\n%s", want, text)
		}
	}
}
