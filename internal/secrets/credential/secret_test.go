package credential_test

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"muster/internal/secrets/credential"
)

const secretText = "correct horse battery staple"

// holders are the shapes in which a secret reaches an encoder.
func holders(s credential.Secret) map[string]any {
	type exported struct{ Field credential.Secret }
	type unexported struct{ field credential.Secret }
	type embedded struct{ credential.Secret }
	return map[string]any{
		"itself":      s,
		"pointer":     &s,
		"exported":    exported{s},
		"to exported": &exported{s},
		"unexported":  unexported{s},
		"embedded":    embedded{s},
		"slice":       []credential.Secret{s},
		"map":         map[string]credential.Secret{"key": s},
		"any":         []any{s, &s},
		"deep":        struct{ inner unexported }{unexported{s}},
		"key pair":    credential.KeyPair{Key: s},
		"to key pair": &credential.KeyPair{Key: s},
	}
}

// leaks tells whether text holds the secret in any form that fmt or an encoder gives to bytes.
func leaks(text string) bool {
	raw := []byte(secretText)
	forms := []string{
		secretText,
		hex.EncodeToString(raw), strings.ToUpper(hex.EncodeToString(raw)),
		base64.StdEncoding.EncodeToString(raw)[:36],
		strings.Trim(fmt.Sprint(raw), "[]"),
		strings.TrimPrefix(fmt.Sprintf("%#v", raw[:8]), "[]byte{")[:20],
		fmt.Sprintf("% x", raw),
	}
	for _, form := range forms {
		if strings.Contains(text, form) {
			return true
		}
	}
	return false
}

func TestLeaksFindsEveryForm(t *testing.T) {
	raw := []byte(secretText)
	for _, format := range []string{"%s", "%v", "%d", "%x", "%X", "% x", "%#v", "%q"} {
		if text := fmt.Sprintf(format, raw); !leaks(text) {
			t.Errorf("%s of the bytes is not recognised: %s", format, text)
		}
	}
	if encoded, _ := json.Marshal(raw); !leaks(string(encoded)) {
		t.Errorf("JSON of the bytes is not recognised: %s", encoded)
	}
}

func TestSecretNeverPrints(t *testing.T) {
	verbs := []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%#x", "%d", "%b", "%o", "%c", "%U", "%t", "%T", "%e", "%10.3s", "%-40v", "%!"}
	for name, holder := range holders(credential.NewSecret([]byte(secretText))) {
		for _, verb := range verbs {
			if text := fmt.Sprintf(verb, holder); leaks(text) {
				t.Errorf("%s under %s: %s", name, verb, text)
			}
		}
		if text := fmt.Sprintln(holder, fmt.Errorf("failed: %v", holder)); leaks(text) {
			t.Errorf("%s under Println: %s", name, text)
		}
		for _, handler := range []func(*bytes.Buffer) slog.Handler{
			func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
			func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
		} {
			var log bytes.Buffer
			slog.New(handler(&log)).Info("message", "value", holder)
			if leaks(log.String()) {
				t.Errorf("%s in a log: %s", name, log.String())
			}
		}
	}
}

func TestSecretSaysThatItIsRedacted(t *testing.T) {
	s := credential.NewSecret([]byte(secretText))
	for _, text := range []string{fmt.Sprint(s), fmt.Sprintf("%#v", s), fmt.Sprintf("%x", &s), s.String(), s.LogValue().String()} {
		if text != "[redacted]" {
			t.Errorf("got %q", text)
		}
	}
}

func TestNoEncoderWritesASecret(t *testing.T) {
	encoders := map[string]func(any) ([]byte, error){
		"json": json.Marshal,
		"xml":  xml.Marshal,
		"yaml": yaml.Marshal,
		"gob": func(v any) ([]byte, error) {
			var b bytes.Buffer
			err := gob.NewEncoder(&b).Encode(v)
			return b.Bytes(), err
		},
	}
	for encoder, encode := range encoders {
		for name, holder := range holders(credential.NewSecret([]byte(secretText))) {
			if text, _ := encode(holder); leaks(string(text)) {
				t.Errorf("%s of %s: %s", encoder, name, text)
			}
		}
		s := credential.NewSecret([]byte(secretText))
		if _, err := encode(document{s}); err == nil || !strings.Contains(err.Error(), credential.ErrSecret.Error()) {
			t.Errorf("%s of an exported field: error = %v, want ErrSecret", encoder, err)
		}
	}
	if _, err := json.Marshal(credential.NewSecret(nil)); !errors.Is(err, credential.ErrSecret) {
		t.Errorf("json: %v", err)
	}
}

// document has a name, which encoding/xml asks for.
type document struct{ Field credential.Secret }

func TestRevealReturnsACopy(t *testing.T) {
	given := []byte(secretText)
	s := credential.NewSecret(given)
	given[0] = 'X'
	revealed := s.Reveal()
	revealed[1] = 'X'
	if got := string(s.Reveal()); got != secretText {
		t.Errorf("Reveal = %q: a caller's slice changed the secret", got)
	}
	if got := (credential.Secret{}).Reveal(); got != nil {
		t.Errorf("the zero Secret reveals %q", got)
	}
}
