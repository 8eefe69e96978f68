package credential

import (
	"crypto/tls"
)

// KeyPair is a certificate of the rendezvous CA and its private key, both in PEM as they lie on a node.
type KeyPair struct {
	// Certificate is one CERTIFICATE block. It is public.
	Certificate []byte
	// Key is one PRIVATE KEY block (PKCS #8).
	Key Secret
}

// TLS makes the pair usable by crypto/tls.
func (p KeyPair) TLS() (tls.Certificate, error) {
	return tls.X509KeyPair(p.Certificate, p.Key.Reveal())
}
