package credential_test

import (
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"muster/internal/secrets/credential"
)

func certificateFor(t *testing.T, uris ...string) *x509.Certificate {
	t.Helper()
	certificate := &x509.Certificate{SerialNumber: big.NewInt(0xab)}
	for _, text := range uris {
		uri, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		certificate.URIs = append(certificate.URIs, uri)
	}
	return certificate
}

func TestFromCertificate(t *testing.T) {
	certificate := certificateFor(t, "muster://k8s/control-plane/k8s-master")
	certificate.IPAddresses = []net.IP{net.IPv4(192, 168, 31, 130), net.ParseIP("2001:db8::1")}
	got, err := credential.FromCertificate(certificate, "k8s")
	want := credential.Identity{
		Cluster: "k8s", Role: credential.ControlPlane, Name: "k8s-master", Serial: strings.Repeat("0", 30) + "ab",
		Addresses: []netip.Addr{netip.MustParseAddr("192.168.31.130"), netip.MustParseAddr("2001:db8::1")},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if got, err := credential.FromCertificate(certificateFor(t, "muster://k8s/operator/operator"), "k8s"); err != nil || got.Role != credential.Operator {
		t.Errorf("operator: %+v, %v", got, err)
	}
}

func TestFromCertificateRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		uris []string
		want error
	}{
		"none":            {nil, credential.ErrNoIdentity},
		"two":             {[]string{"muster://k8s/operator/operator", "muster://k8s/control-plane/a"}, credential.ErrNoIdentity},
		"another scheme":  {[]string{"spiffe://k8s/operator/operator"}, credential.ErrNoIdentity},
		"worker":          {[]string{"muster://k8s/worker/k8s-node1"}, credential.ErrNoIdentity},
		"unknown role":    {[]string{"muster://k8s/admin/a"}, credential.ErrNoIdentity},
		"no name":         {[]string{"muster://k8s/operator/"}, credential.ErrNoIdentity},
		"only a role":     {[]string{"muster://k8s/operator"}, credential.ErrNoIdentity},
		"more path":       {[]string{"muster://k8s/operator/operator/x"}, credential.ErrNoIdentity},
		"slashes":         {[]string{"muster://k8s//operator/operator"}, credential.ErrNoIdentity},
		"port":            {[]string{"muster://k8s:1/operator/operator"}, credential.ErrNoIdentity},
		"user":            {[]string{"muster://u@k8s/operator/operator"}, credential.ErrNoIdentity},
		"query":           {[]string{"muster://k8s/operator/operator?x"}, credential.ErrNoIdentity},
		"fragment":        {[]string{"muster://k8s/operator/operator#x"}, credential.ErrNoIdentity},
		"escaped":         {[]string{"muster://k8s/operator/%6fperator"}, credential.ErrNoIdentity},
		"another cluster": {[]string{"muster://k9s/operator/operator"}, credential.ErrOtherCluster},
	} {
		got, err := credential.FromCertificate(certificateFor(t, c.uris...), "k8s")
		if !errors.Is(err, c.want) || !reflect.DeepEqual(got, credential.Identity{}) {
			t.Errorf("%s: %+v, %v, want %v", name, got, err, c.want)
		}
	}
}

func TestCheckName(t *testing.T) {
	for _, name := range []string{"a", "k8s-master", "node1.example.com", strings.Repeat("a", 63), strings.Repeat("a.", 126) + "a"} {
		if err := credential.CheckName(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"", "A", "-a", "a-", "a..b", ".a", "a.", "a_b", "a/b", "a\n", "a\x00b", "é", strings.Repeat("a", 64), strings.Repeat("a.", 127) + "a"} {
		if err := credential.CheckName(name); err == nil {
			t.Errorf("%q is accepted", name)
		}
	}
}
