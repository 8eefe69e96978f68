package secrets

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"muster/internal/secrets/credential"
)

// FuzzDecode looks for a text that is taken as a bundle and is another one when it is written again, and for an error
// that repeats a part of the text. Each text is also tried with a checksum that fits, so that more than the checksum is
// tried.
func FuzzDecode(f *testing.F) {
	for _, b := range []*Bundle{Test(), {seed: credential.NewSecret(bytes.Repeat([]byte{7}, seedSize)), created: time.Date(2026, time.March, 4, 5, 6, 7, 0, time.UTC)}} {
		text, err := b.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`{"apiVersion":"muster/v1","kind":"SecretsBundle","created":"2026-01-01T00:00:00+14:00","seed":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=","checksum":""}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, tried := range [][]byte{text, fitting(text)} {
			b, err := decode(tried)
			if err != nil {
				if !errors.Is(err, errForeign) && !errors.Is(err, errDamaged) && !errors.Is(err, ErrTestBundle) {
					t.Errorf("%q: an error of its own: %v", tried, err)
				}
				continue
			}
			written, err := b.encode()
			if err != nil {
				t.Fatal(err)
			}
			again, err := decode(written)
			if err != nil || !bytes.Equal(again.seed.Reveal(), b.seed.Reveal()) || !again.created.Equal(b.created.Truncate(time.Second)) {
				t.Errorf("%q is another bundle when it is written again: %v", tried, err)
			}
		}
	})
}

// fitting gives a text the checksum of what it says.
func fitting(text []byte) []byte {
	var f file
	if json.Unmarshal(text, &f) != nil {
		return text
	}
	created, err := time.Parse(time.RFC3339, f.Created)
	if err != nil || len(f.Seed.Reveal()) != seedSize {
		return text
	}
	b := Bundle{seed: f.Seed.Secret, created: created.UTC()}
	f.Checksum = b.checksum()
	out, err := json.Marshal(f)
	if err != nil {
		return text
	}
	return out
}
