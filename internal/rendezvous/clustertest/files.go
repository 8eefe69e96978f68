package clustertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Certificates are a CA with one server and one client certificate, as kubeadm leaves them on a control plane.
type Certificates struct {
	CA     []byte // PEM
	Server tls.Certificate
	Client struct{ Certificate, Key []byte } // PEM
	pool   *x509.CertPool
}

// NewCertificates makes them for a server at addresses.
func NewCertificates(addresses ...net.IP) (*Certificates, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := func(serial int64) *x509.Certificate {
		return &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: fmt.Sprint("test ", serial)}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour)}
	}
	ca := template(1)
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	server := template(2)
	server.IPAddresses, server.ExtKeyUsage = addresses, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	client := template(3)
	client.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	encoded := map[*x509.Certificate][]byte{}
	for _, c := range []*x509.Certificate{ca, server, client} {
		der, err := x509.CreateCertificate(rand.Reader, c, ca, &key.PublicKey, key)
		if err != nil {
			return nil, err
		}
		encoded[c] = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	c := &Certificates{CA: encoded[ca], pool: x509.NewCertPool()}
	c.pool.AppendCertsFromPEM(c.CA)
	c.Client.Certificate, c.Client.Key = encoded[client], keyPEM
	c.Server, err = tls.X509KeyPair(encoded[server], keyPEM)
	return c, err
}

// TLS is the server's side, which asks for a client certificate as API server and etcd do.
func (c *Certificates) TLS() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{c.Server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: c.pool}
}

// AdminConf is an admin.conf as kubeadm writes it.
func (c *Certificates) AdminConf(server string) []byte {
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Appendf(nil, `apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: %s
    server: %s
  name: kubernetes
contexts:
- context:
    cluster: kubernetes
    user: kubernetes-admin
  name: kubernetes-admin@kubernetes
current-context: kubernetes-admin@kubernetes
kind: Config
preferences: {}
users:
- name: kubernetes-admin
  user:
    client-certificate-data: %s
    client-key-data: %s
`, b64(c.CA), server, b64(c.Client.Certificate), b64(c.Client.Key))
}

// WriteEtcd lays etcd's client certificates into a PKI folder.
func (c *Certificates) WriteEtcd(pki string) error {
	folder := filepath.Join(pki, "etcd")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	for name, data := range map[string][]byte{"ca.crt": c.CA, "healthcheck-client.crt": c.Client.Certificate, "healthcheck-client.key": c.Client.Key} {
		if err := os.WriteFile(filepath.Join(folder, name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}
