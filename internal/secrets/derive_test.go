package secrets

import (
	"bytes"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"testing"
)

// The derivation is documented as HKDF with SHA-256; this is RFC 5869 section 2 done by hand, for one block.
func TestDeriveIsHKDF(t *testing.T) {
	sum := func(key, message []byte) []byte {
		mac := hmac.New(sha256.New, key)
		mac.Write(message)
		return mac.Sum(nil)
	}
	b := testBundle(t, 5)
	pseudorandom := sum([]byte("muster/v1 secrets bundle"), b.seed.Reveal())
	want := sum(pseudorandom, []byte("k8s\x00purpose\x00part\x01"))
	if got := b.derive(32, "k8s", "purpose", "part"); !bytes.Equal(got, want) {
		// The bytes are of a test's seed.
		t.Errorf("derive = %x, want %x", got, want)
	}
	// The longer output begins with the shorter one: asking for more is no other secret.
	if got := b.derive(16, "k8s", "purpose", "part"); !bytes.Equal(got, want[:16]) {
		t.Errorf("16 bytes: %x", got)
	}
}

func TestPartsOfDeriveAreKeptApart(t *testing.T) {
	b := testBundle(t, 5)
	seen := map[string]bool{}
	for _, parts := range [][]string{{"c", "p"}, {"cp", ""}, {"", "cp"}, {"c", "p", ""}, {"c", "p", "a", "b"}, {"c", "p", "ab"}, {"c", "pa", "b"}} {
		derived := string(b.derive(32, parts[0], parts[1], parts[2:]...))
		if seen[derived] {
			t.Errorf("%q gives what others gave", parts)
		}
		seen[derived] = true
	}
}

func TestFirstKeyRejectsWhatIsNoScalar(t *testing.T) {
	order := elliptic.P256().Params().N.FillBytes(make([]byte, 32))
	zero, above, good := make([]byte, 32), bytes.Repeat([]byte{0xff}, 32), bytes.Repeat([]byte{0x42}, 32)
	for name, candidates := range map[string][][]byte{
		"first":                  {good, zero, zero},
		"after zero":             {zero, good, zero},
		"after the order itself": {order, good, zero},
		"third":                  {above, order, good},
	} {
		key, err := firstKey(func(attempt int) []byte { return candidates[attempt] })
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := key.Bytes(); err != nil || !bytes.Equal(got, good) {
			t.Errorf("%s: another candidate was taken, %v", name, err)
		}
	}
	if _, err := firstKey(func(int) []byte { return above }); err == nil {
		t.Error("a key from candidates that are none")
	}
}
