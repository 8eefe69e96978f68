package secrets

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"muster/internal/secrets/credential"
)

// subjects holds one value of every type that this package and package credential declare, with real secrets inside
// where the type can hold any.
func subjects(t *testing.T) map[string]any {
	b := testBundle(t, 7)
	a := mustAuthority(t, b, "k8s")
	pair := mustControlPlane(t, a, "k8s-master")
	return map[string]any{
		"secrets.Bundle":       b,
		"secrets.Authority":    a,
		"secrets.file":         file{APIVersion: fileAPIVersion, Kind: fileKind, Seed: seedText{b.seed}},
		"secrets.seedText":     seedText{b.seed},
		"credential.Secret":    b.seed,
		"credential.KeyPair":   pair,
		"credential.Identity":  credential.Identity{Cluster: "k8s", Role: credential.Worker, Name: "n", Serial: "1"},
		"credential.Pool":      credential.Pool{MaxNodes: 1},
		"credential.Role":      credential.Worker,
		"credential.grantText": nil, // what a grant says is public, the signature is not in it
		"credential.grantPool": nil,
	}
}

// secretForms are the secrets inside subjects, in every form that fmt or an encoder gives to bytes.
func secretForms(t *testing.T) []string {
	b := testBundle(t, 7)
	a := mustAuthority(t, b, "k8s")
	caKey, err := a.key().Bytes()
	if err != nil {
		t.Fatal(err)
	}
	pairKey := mustControlPlane(t, a, "k8s-master").Key.Reveal()
	block, _ := pem.Decode(pairKey)
	var forms []string
	for _, secret := range [][]byte{b.seed.Reveal(), caKey, pairKey, block.Bytes} {
		part := secret[:16]
		if len(secret) > 100 { // a key in its encoding: the beginning is the same for all keys
			part = secret[60:84]
		}
		forms = append(forms,
			string(part), fmt.Sprintf("%q", part), hex.EncodeToString(part), strings.ToUpper(hex.EncodeToString(part)), fmt.Sprintf("% x", part),
			strings.Trim(fmt.Sprint(part), "[]"), strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", part), "[]byte{"), "}"),
			base64.StdEncoding.EncodeToString(part[:15]), base64.RawURLEncoding.EncodeToString(part[:15]))
	}
	// The limbs and words of a private key's number, as a dump of *big.Int shows them.
	number := a.key().D //lint:ignore SA1019 this is what must not be seen
	return append(forms, number.String(), strings.Trim(fmt.Sprint(number.Bits()), "[]"))
}

func TestEveryTypeIsASubject(t *testing.T) {
	known := subjects(t)
	for _, folder := range []string{".", "credential"} {
		for _, name := range declaredTypes(t, folder) {
			if _, ok := known[name]; !ok {
				t.Errorf("type %s is new: add a value of it to subjects, so that it is shown not to print secrets", name)
			}
			delete(known, name)
		}
	}
	for name := range known {
		t.Errorf("type %s is gone: remove it from subjects", name)
	}
}

func declaredTypes(t *testing.T, folder string) (names []string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no sources in %s: %v", folder, err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		source, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(source, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok {
				names = append(names, source.Name.Name+"."+spec.Name.Name)
			}
			return true
		})
	}
	return names
}

func TestNoTypePrintsASecret(t *testing.T) {
	forms := secretForms(t)
	for name, subject := range subjects(t) {
		for _, shape := range shapes(subject) {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%e", "%c", "%p", "%U", "%b", "%!"} {
				text := fmt.Sprintf(verb, shape)
				for _, form := range forms {
					if strings.Contains(text, form) {
						t.Errorf("%s in %T under %s shows %.20s…", name, shape, verb, form)
					}
				}
			}
		}
	}
}

// shapes wraps a value in what it may be printed in; a pointer also stands for what it points to.
func shapes(subject any) []any {
	all := []any{subject, []any{subject}, map[string]any{"k": subject}, struct{ Field any }{subject}, struct{ field any }{subject}}
	value := reflect.ValueOf(subject)
	switch {
	case !value.IsValid():
		return all
	case value.Kind() == reflect.Pointer:
		pointed := value.Elem().Interface()
		all = append(all, pointed, struct{ field any }{pointed})
	default:
		pointer := reflect.New(value.Type())
		pointer.Elem().Set(value)
		all = append(all, pointer.Interface(), struct{ field any }{pointer.Interface()})
	}
	switch s := subject.(type) { // fields with a static type take other ways through fmt than those in an interface
	case *Bundle:
		all = append(all, struct{ field *Bundle }{s}, struct{ field Bundle }{*s}, []Bundle{*s})
	case *Authority:
		all = append(all, struct{ field *Authority }{s}, struct{ field Authority }{*s}, []Authority{*s})
	case credential.KeyPair:
		all = append(all, struct{ field credential.KeyPair }{s}, []*credential.KeyPair{&s})
	}
	return all
}

// A guard of the test above: the forms are what fmt makes of such bytes.
func TestSecretFormsAreFound(t *testing.T) {
	seed := testBundle(t, 7).seed.Reveal()
	text := fmt.Sprintf("%v %x %#v %q", seed, seed, seed, string(seed))
	found := 0
	for _, form := range secretForms(t) {
		if strings.Contains(text, form) {
			found++
		}
	}
	if found < 3 {
		t.Errorf("of the forms of a seed, only %d are found in %s", found, text)
	}
}

func TestEncodersRefuse(t *testing.T) {
	b := testBundle(t, 7)
	for _, v := range []any{b, mustAuthority(t, b, "k8s"), mustControlPlane(t, mustAuthority(t, b, "k8s"), "a")} {
		if text, err := json.Marshal(v); !errors.Is(err, credential.ErrSecret) {
			t.Errorf("json of %T: %s, %v", v, text, err)
		}
	}
}

// Errors of files that hold something secret-looking never repeat it.
func TestErrorsNameNoContents(t *testing.T) {
	const secretLooking = "c2VjcmV0LWxvb2tpbmctY29udGVudHMtb2YtYS1maWxl"
	for _, text := range []string{
		secretLooking,
		`{"seed":"` + secretLooking + `"}`,
		`{"apiVersion":"muster/v1","kind":"SecretsBundle","created":"` + secretLooking + `","seed":"` + secretLooking + `"}`,
		`{"apiVersion":"muster/v1","kind":"SecretsBundle","created":"2026-01-01T00:00:00Z","seed":["` + secretLooking + `"]}`,
		`{"apiVersion":"muster/v1","kind":"SecretsBundle","created":"2026-01-01T00:00:00Z","seed":"` + secretLooking + `?"}`,
		`{"apiVersion":"` + secretLooking + `","kind":"SecretsBundle"}`,
	} {
		path := filepath.Join(t.TempDir(), "a.secrets")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(path)
		if err == nil || errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), secretLooking[:8]) {
			t.Errorf("%.40s…: error = %v", text, err)
		}
	}
}

var testNow = time.Date(2026, time.March, 4, 5, 6, 7, 890, time.UTC)
