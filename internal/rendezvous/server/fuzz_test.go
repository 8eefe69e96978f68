package server

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"muster/internal/rendezvous"
)

// decoders read the body of each call that has one.
var decoders = map[string]func(request) (any, error){
	"enrol":     func(r request) (any, error) { return decode[rendezvous.Enrolment](r) },
	"progress":  func(r request) (any, error) { return decode[rendezvous.Report](r) },
	"done":      func(r request) (any, error) { return decode[rendezvous.Claim](r) },
	"lease":     func(r request) (any, error) { return decode[rendezvous.Ask](r) },
	"held":      func(r request) (any, error) { return decode[rendezvous.Held](r) },
	"operator":  func(r request) (any, error) { return decode[rendezvous.OperatorRequest](r) },
	"admission": func(r request) (any, error) { return decode[rendezvous.Admission](r) },
	"confirm":   func(r request) (any, error) { return decode[rendezvous.Confirmation](r) },
}

// FuzzDecode looks for a body that makes a call panic, and for an answer that repeats a part of the body or has no code
// that clients know.
func FuzzDecode(f *testing.F) {
	for _, body := range []string{
		`{"machine":"0123456789abcdef0123456789abcdef","run":"fedcba9876543210","attempt":1}`, `{"node":"w1"}`, `{"pool":"burst"}`, `{"uid":"u"}`, `{}`, `null`, `[]`, `"a"`, ``, `{`, `{} {}`,
		`{"machine":"m","run":"r","attempt":1,"held":{"epoch":1}}`, `{"step":"kubeadm","error":"it failed\nbecause"}`, `{"node":"a","Node":"b"}`, `{"attempt":1e400}`, `{"attempt":-1}`, "{\"node\":\"\xff\"}",
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		for name, decoder := range decoders {
			r := httptest.NewRequest(http.MethodPost, "/v1/"+name, strings.NewReader(body))
			r.Body = http.MaxBytesReader(httptest.NewRecorder(), r.Body, rendezvous.MaxBody)
			_, err := decoder(request{Request: r})
			if err == nil {
				continue
			}
			var known *rendezvous.Error
			if !errors.As(err, &known) || known.Code != rendezvous.CodeInvalid && known.Code != rendezvous.CodeTooLarge {
				t.Errorf("%s: %q: %v", name, body, err)
			}
			if (known.Code == rendezvous.CodeTooLarge) != (len(body) > rendezvous.MaxBody) && known.Code == rendezvous.CodeTooLarge {
				t.Errorf("%s: %d bytes are too large", name, len(body))
			}
			if statuses[known.Code] == 0 {
				t.Errorf("%s: the code %s has no status", name, known.Code)
			}
			if word := strings.Trim(body, " {}[]\":,"); len(word) > 12 && strings.Contains(err.Error(), word) {
				t.Errorf("%s: the answer repeats the body: %v", name, err)
			}
		}
	})
}
