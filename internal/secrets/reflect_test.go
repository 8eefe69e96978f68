package secrets_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"muster/internal/decode"
	"muster/internal/generate"
	"muster/internal/node"
	"muster/internal/outdir"
	"muster/internal/problem"
	"muster/internal/render"
	"muster/internal/secrets"
	"muster/internal/secrets/credential"
	"muster/internal/spec"
)

// roots are all that a run of gen has in its hands, by name.
func roots(t *testing.T) map[string]any {
	t.Helper()
	var problems problem.List
	result, err := generate.FromFile("../../test/golden/escape-hatches/cluster.yaml", generate.ForTests(), &problems)
	if err != nil || problems.Failed() {
		t.Fatalf("%v %v", err, problems.Sorted())
	}
	authority, err := secrets.Test().Authority("k8s")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := authority.Operator()
	if err != nil {
		t.Fatal(err)
	}
	grant, err := authority.WorkerGrant("w1")
	if err != nil {
		t.Fatal(err)
	}
	first := result.Machines[0]
	document, err := render.Encode(first.Profile.Format.V, render.Butane{}, first.Config)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{
		"generate.Result": *result, "spec.Cluster": *result.Cluster, "plan.Machine": first, "node.Config": first.Config, "plan.Input": result.Input,
		"outdir.File": result.Tree, "render.Document": document, "secrets.Bundle": secrets.Test(), "secrets.Authority": authority, "credential.KeyPair": pair, "grant": grant,
	}
}

// hidden are the types that hold a secret and print without it.
var hidden = []reflect.Type{
	reflect.TypeFor[credential.Secret](), reflect.TypeFor[decode.Secret](), reflect.TypeFor[node.File](), reflect.TypeFor[node.User](), reflect.TypeFor[outdir.File](), reflect.TypeFor[render.File](),
	reflect.TypeFor[secrets.Bundle](), reflect.TypeFor[secrets.Authority](),
}

// telling is how a field is called that holds a secret.
var telling = regexp.MustCompile(`(?i)(passw|secret|token|seed|grant|credential|private|(^|[a-z])key($|s$)|hash)`)

// harmless are fields that are called like it and hold none.
var harmless = map[string]string{
	"decode.Entry.Key": "the key of a mapping", "spec.Taint.Key": "a taint's key", "spec.User.SSHAuthorizedKeys": "public keys", "profiles.Packages.Repositories": "",
	"spec.Repository.GPGKeys": "public keys", "spec.Kubernetes.BootstrapToken": "how long it lives", "profiles.Repository.GPGKeys": "public keys",
	"node.Bond.TransmitHash": "how packets are spread", "spec.BondParameters.TransmitHashPolicy": "how packets are spread", "node.File.Secret": "whether it is one",
}

// TestSecretFieldsHaveSecretTypes walks the types of all roots: a field that is called like a secret has a type that
// does not print it, or stands in one.
func TestSecretFieldsHaveSecretTypes(t *testing.T) {
	seen, met := map[reflect.Type]bool{}, map[reflect.Type]bool{}
	var walk func(typ reflect.Type, way string)
	walk = func(typ reflect.Type, way string) {
		for _, h := range hidden {
			if typ == h {
				met[typ] = true
				return
			}
		}
		if seen[typ] {
			return
		}
		seen[typ] = true
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
			walk(typ.Elem(), way)
		case reflect.Struct:
			if !strings.HasPrefix(typ.PkgPath(), "muster/") {
				return
			}
			for i := range typ.NumField() {
				f := typ.Field(i)
				owner, _, _ := strings.Cut(typ.Name(), "[")
				name := typ.PkgPath()[strings.LastIndex(typ.PkgPath(), "/")+1:] + "." + owner + "." + f.Name
				_, known := harmless[name]
				if telling.MatchString(f.Name) && !known && plain(f.Type) {
					t.Errorf("%s: %s, by %s, has the name of a secret and the type %s: give it credential.Secret or decode.Secret, or add it to harmless", name, f.Name, way, f.Type)
				}
				walk(f.Type, way+"."+f.Name)
			}
		}
	}
	for name, root := range roots(t) {
		walk(reflect.TypeOf(root), name)
	}
	for _, h := range hidden {
		if !met[h] {
			t.Errorf("%s is not met on the way through all types: the walk is broken, or the type is no longer used", h)
		}
	}
}

// plain reports whether a type holds text that anything prints.
func plain(typ reflect.Type) bool {
	switch typ.Kind() {
	case reflect.String:
		return true
	case reflect.Slice:
		return typ.Elem().Kind() == reflect.Uint8 || plain(typ.Elem())
	case reflect.Struct:
		return typ == reflect.TypeFor[spec.Value[string]]() || typ == reflect.TypeFor[spec.List[spec.Value[string]]]()
	}
	return false
}

// found is one secret, and what holds it: what it lies in, from the root on, and at last itself.
type found struct {
	way     string
	secret  []byte
	holders []any
}

// find collects the secrets that a value holds.
func find(v reflect.Value, way string, holders []any) []found {
	if !v.IsValid() || !v.CanInterface() {
		return nil
	}
	holders = append(slices.Clone(holders), v.Interface())
	if secret, whole := secretIn(v.Interface()); whole {
		return []found{{way, secret, holders}}
	}
	var all []found
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		all = find(v.Elem(), way, holders)
	case reflect.Struct:
		for i := range v.NumField() {
			all = append(all, find(v.Field(i), way+"."+v.Type().Field(i).Name, holders)...)
		}
	case reflect.Slice:
		for i := range v.Len() {
			all = append(all, find(v.Index(i), fmt.Sprintf("%s[%d]", way, i), holders)...)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			all = append(all, find(v.MapIndex(key), fmt.Sprintf("%s[%v]", way, key), holders)...)
		}
	}
	return all
}

// secretIn is the secret of a value that holds one by its type, nil where there is none after all; whole is false for
// other values.
func secretIn(value any) (secret []byte, whole bool) {
	switch x := value.(type) {
	case decode.Secret:
		return []byte(x.Reveal()), true
	case credential.Secret:
		return x.Reveal(), true
	case node.File:
		if x.Secret {
			secret = x.Contents
		}
		return secret, true
	case node.User:
		return []byte(x.PasswordHash), true
	case outdir.File:
		if strings.HasSuffix(x.Path, ".key") || strings.HasSuffix(x.Path, "/grant") {
			secret = x.Bytes()
		}
		return secret, true
	case render.File:
		return x.Data, true
	}
	return nil, false
}

// forms are a part of a secret that no other text has, in every form that fmt or an encoder gives to bytes.
func forms(secret []byte) []string {
	part := secret
	if len(part) > 40 {
		part = secret[len(secret)/2 : len(secret)/2+24]
	}
	all := []string{
		string(part), strings.Trim(fmt.Sprintf("%q", part), `"`), hex.EncodeToString(part), strings.ToUpper(hex.EncodeToString(part)), fmt.Sprintf("% x", part),
		strings.Trim(fmt.Sprint(part), "[]"), strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", part), "[]byte{"), "}"),
	}
	for shift := range 3 { // base64 of a text that holds it looks in one of three ways
		for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
			text := encoding.EncodeToString(append(make([]byte, shift), part...))
			all = append(all, text[4:len(text)-4])
		}
	}
	return all
}

// verbs are those for values of any kind, and those that code may use by mistake. One that does not fit a pointer makes
// fmt print all that is behind it without asking any type for its own form.
var verbs = []string{"%v", "%+v", "%#v", "%T", "%s", "%q", "%x", "%X", "%d", "%t", "%e"}

// said is all that is printed of a value by mistake: by each verb, by encoders, in logs and in errors.
func said(value any) []string {
	var all []string
	for _, shape := range []any{value, []any{value}, map[string]any{"k": value}, struct{ Field any }{value}} {
		for _, verb := range verbs {
			all = append(all, fmt.Sprintf(verb, shape), fmt.Errorf("it failed: "+verb, shape).Error())
		}
		text, err := json.Marshal(shape)
		all = append(all, string(text), fmt.Sprint(err))
		var log bytes.Buffer
		for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
			slog.New(handler).Info("said", "value", shape, slog.Group("group", "value", shape))
		}
		all = append(all, log.String())
	}
	return all
}

// TestNoSecretIsPrinted finds all secrets in all that gen has in its hands, and prints what they lie in.
func TestNoSecretIsPrinted(t *testing.T) {
	kinds := map[string]bool{}
	for name, root := range roots(t) {
		all := find(reflect.ValueOf(root), name, nil)
		if bundle, ok := root.(*secrets.Bundle); ok { // its seed is in no field that others can read
			all = append(all, found{name, make([]byte, 32), []any{bundle, *bundle}})
		}
		for _, f := range all {
			if len(f.secret) < 16 {
				continue // a user without a password
			}
			kinds[fmt.Sprintf("%T", f.holders[len(f.holders)-1])] = true
			looked := forms(f.secret)
			for _, holder := range f.holders {
				for _, text := range said(holder) {
					for _, form := range looked {
						if strings.Contains(text, form) {
							t.Fatalf("%s is printed with %T: %.300s", f.way, holder, text)
						}
					}
				}
			}
		}
	}
	for _, kind := range []string{"credential.Secret", "decode.Secret", "node.File", "node.User", "outdir.File", "render.File"} {
		if !kinds[kind] {
			t.Errorf("no %s with a secret was found: the walk is broken", kind)
		}
	}
}
