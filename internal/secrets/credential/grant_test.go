package credential_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"muster/internal/secrets/credential"
)

var anyTime = time.Date(2027, time.December, 31, 0, 0, 0, 0, time.UTC)

const anySerial = "4f6a0c1d2e3f405162738495a6b7c8d9"

func newCA(t testing.TB) (*ecdsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key, &x509.Certificate{PublicKey: &key.PublicKey}
}

func sign(t testing.TB, key *ecdsa.PrivateKey, id credential.Identity) string {
	t.Helper()
	grant, err := credential.SignGrant(key, id)
	if err != nil {
		t.Fatal(err)
	}
	return string(grant.Reveal())
}

// forge signs any text the way SignGrant does.
func forge(t testing.TB, key *ecdsa.PrivateKey, context, payload string) string {
	t.Helper()
	signed := base64.RawURLEncoding.EncodeToString([]byte(payload))
	digest := sha256.Sum256([]byte(context + signed))
	signature, err := key.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func TestGrantProvesWhatWasSigned(t *testing.T) {
	key, ca := newCA(t)
	for _, id := range []credential.Identity{
		{Cluster: "k8s", Role: credential.Worker, Name: "k8s-node1", Serial: anySerial},
		{Cluster: "k8s", Role: credential.Worker, Name: "spot", Serial: anySerial, Pool: &credential.Pool{MaxNodes: 10, JoinUntil: anyTime}},
		{Cluster: "a.b", Role: credential.Worker, Name: strings.Repeat("a.", 126) + "a", Serial: anySerial, Pool: &credential.Pool{MaxNodes: 1}},
	} {
		token := sign(t, key, id)
		got, err := credential.VerifyGrant(ca, id.Cluster, token)
		if err != nil || !reflect.DeepEqual(got, id) {
			t.Errorf("VerifyGrant(SignGrant(%+v)) = %+v, %v", id, got, err)
		}
		if token != sign(t, key, id) {
			t.Errorf("%s: signed twice, the bytes differ", id.Name)
		}
	}
}

func TestGrantIsSafeInAHeaderAndACurlConfiguration(t *testing.T) {
	key, _ := newCA(t)
	token := sign(t, key, credential.Identity{Cluster: "k8s", Role: credential.Worker, Name: "n", Serial: anySerial})
	if rest := strings.Trim(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."); rest != "" {
		t.Errorf("characters %q need quoting", rest)
	}
}

func TestGrantJoinUntilIsToTheSecondAndInUTC(t *testing.T) {
	key, ca := newCA(t)
	east := time.Date(2027, time.May, 1, 8, 0, 0, 999_999_999, time.FixedZone("", 8*3600))
	token := sign(t, key, credential.Identity{Cluster: "k8s", Role: credential.Worker, Name: "p", Serial: anySerial, Pool: &credential.Pool{MaxNodes: 1, JoinUntil: east}})
	id, err := credential.VerifyGrant(ca, "k8s", token)
	if want := time.Date(2027, time.May, 1, 0, 0, 0, 0, time.UTC); err != nil || !id.Pool.JoinUntil.Equal(want) {
		t.Errorf("joinUntil = %v, %v, want %v", id.Pool, err, want)
	}
}

func TestVerifyGrantRefuses(t *testing.T) {
	const context = "muster grant v1\n"
	key, ca := newCA(t)
	otherKey, _ := newCA(t)
	good := credential.Identity{Cluster: "k8s", Role: credential.Worker, Name: "k8s-node1", Serial: anySerial}
	token := sign(t, key, good)
	payload, signature, _ := strings.Cut(token, ".")
	worker := func(rest string) string {
		return fmt.Sprintf(`{"cluster":"k8s","role":"worker","name":"k8s-node1","serial":%q%s}`, anySerial, rest)
	}
	other := good
	other.Name = "k8s-node2"
	otherPayload, _, _ := strings.Cut(sign(t, key, other), ".")
	otherCluster := good
	otherCluster.Cluster = "production"

	// forge has to be able to make a good one, or the refusals below would prove nothing.
	if _, err := credential.VerifyGrant(ca, "k8s", forge(t, key, context, worker(""))); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		token string
		want  error
	}{
		"nothing":                {"", credential.ErrGrantMalformed},
		"one part":               {payload, credential.ErrGrantMalformed},
		"three parts":            {token + "." + signature, credential.ErrGrantMalformed},
		"a JWT":                  {"eyJhbGciOiJub25lIn0." + payload + ".", credential.ErrGrantMalformed},
		"too long":               {strings.Repeat("A", 2048) + "." + signature, credential.ErrGrantMalformed},
		"line break":             {token[:5] + "\n" + token[5:], credential.ErrGrantForged},
		"line break in the end":  {token + "\n", credential.ErrGrantMalformed},
		"padding":                {token + "=", credential.ErrGrantMalformed},
		"no signature":           {payload + ".", credential.ErrGrantForged},
		"another's signature":    {otherPayload + "." + signature, credential.ErrGrantForged},
		"another key":            {sign(t, otherKey, good), credential.ErrGrantForged},
		"without the context":    {forge(t, key, "", worker("")), credential.ErrGrantForged},
		"another cluster":        {sign(t, key, otherCluster), credential.ErrOtherCluster},
		"control plane":          {forge(t, key, context, strings.Replace(worker(""), "worker", "control-plane", 1)), credential.ErrGrantMalformed},
		"no role":                {forge(t, key, context, strings.Replace(worker(""), "worker", "", 1)), credential.ErrGrantMalformed},
		"unknown bound":          {forge(t, key, context, worker(`,"notAfter":"2027-01-01T00:00:00Z"`)), credential.ErrGrantMalformed},
		"pool for nobody":        {forge(t, key, context, worker(`,"pool":{"maxNodes":0}`)), credential.ErrGrantMalformed},
		"pool without a number":  {forge(t, key, context, worker(`,"pool":{}`)), credential.ErrGrantMalformed},
		"pool with another zone": {forge(t, key, context, worker(`,"pool":{"maxNodes":1,"joinUntil":"2027-01-01T00:00:00+01:00"}`)), credential.ErrGrantMalformed},
		"not JSON":               {forge(t, key, context, "worker"), credential.ErrGrantMalformed},
		"text after it":          {forge(t, key, context, worker("")+"{}"), credential.ErrGrantMalformed},
		"empty JSON":             {forge(t, key, context, "{}"), credential.ErrGrantMalformed},
		"short serial":           {forge(t, key, context, strings.Replace(worker(""), anySerial, "1", 1)), credential.ErrGrantMalformed},
		"path in the name":       {forge(t, key, context, strings.Replace(worker(""), "k8s-node1", "../node", 1)), credential.ErrGrantMalformed},
	} {
		id, err := credential.VerifyGrant(ca, "k8s", c.token)
		if err != c.want { // the very value: constant, so nothing of the token can be in it
			t.Errorf("%s: error = %v, want %v", name, err, c.want)
		}
		if !reflect.DeepEqual(id, credential.Identity{}) {
			t.Errorf("%s: refused, and yet an identity: %+v", name, id)
		}
	}
}

// Every single bit of a grant counts: none can be turned without the grant being refused.
func TestNoBitOfAGrantCanBeTurned(t *testing.T) {
	key, ca := newCA(t)
	token := []byte(sign(t, key, credential.Identity{Cluster: "k8s", Role: credential.Worker, Name: "k8s-node1", Serial: anySerial}))
	for i := range token {
		for bit := range 8 {
			turned := append([]byte(nil), token...)
			turned[i] ^= 1 << bit
			if id, err := credential.VerifyGrant(ca, "k8s", string(turned)); err == nil {
				t.Errorf("byte %d, bit %d turned: accepted as %+v", i, bit, id)
			}
		}
	}
}

func TestSignGrantRefusesWhatVerifyWould(t *testing.T) {
	key, _ := newCA(t)
	good := credential.Identity{Cluster: "k8s", Role: credential.Worker, Name: "n", Serial: anySerial}
	for name, change := range map[string]func(*credential.Identity){
		"control plane": func(id *credential.Identity) { id.Role = credential.ControlPlane },
		"operator":      func(id *credential.Identity) { id.Role = credential.Operator },
		"no cluster":    func(id *credential.Identity) { id.Cluster = "" },
		"no name":       func(id *credential.Identity) { id.Name = "" },
		"capitals":      func(id *credential.Identity) { id.Name = "Node" },
		"no serial":     func(id *credential.Identity) { id.Serial = "" },
		"empty pool":    func(id *credential.Identity) { id.Pool = &credential.Pool{} },
		"year 10000": func(id *credential.Identity) {
			id.Pool = &credential.Pool{MaxNodes: 1, JoinUntil: anyTime.AddDate(9000, 0, 0)}
		},
	} {
		id := good
		change(&id)
		if _, err := credential.SignGrant(key, id); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
}

func TestVerifyGrantWithAnotherKindOfCA(t *testing.T) {
	key, _ := newCA(t)
	token := sign(t, key, credential.Identity{Cluster: "k8s", Role: credential.Worker, Name: "n", Serial: anySerial})
	if _, err := credential.VerifyGrant(&x509.Certificate{}, "k8s", token); !errors.Is(err, credential.ErrGrantForged) {
		t.Errorf("error = %v", err)
	}
}

// FuzzVerifyGrant signs whatever it is given, so that what lies behind the signature is reached, and expects an error
// or an identity that signs to an accepted grant again.
func FuzzVerifyGrant(f *testing.F) {
	key, ca := newCA(f)
	good := sign(f, key, credential.Identity{Cluster: "k8s", Role: credential.Worker, Name: "n", Serial: anySerial, Pool: &credential.Pool{MaxNodes: 3, JoinUntil: anyTime}})
	f.Add(good, "")
	payload, _, _ := strings.Cut(good, ".")
	decoded, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		f.Fatal(err)
	}
	f.Add("..", string(decoded))
	f.Add("\x00.\x00", `{"cluster":"k8s","role":"worker","name":"n","serial":"`+anySerial+`","pool":{"maxNodes":9e9}}`)
	f.Fuzz(func(t *testing.T, token, payload string) {
		if _, err := credential.VerifyGrant(ca, "k8s", token); err == nil && token != good {
			t.Errorf("accepted a grant that nobody signed: %q", token)
		}
		id, err := credential.VerifyGrant(ca, "k8s", forge(t, key, "muster grant v1\n", payload))
		if err != nil {
			return
		}
		again, err := credential.VerifyGrant(ca, "k8s", sign(t, key, id))
		if err != nil || !reflect.DeepEqual(again, id) {
			t.Errorf("%q is %+v, signed again %+v, %v", payload, id, again, err)
		}
	})
}
