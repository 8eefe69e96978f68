package payload

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func TestPlain(t *testing.T) {
	for text, want := range map[string]bool{
		"a\n":            true,
		"a b\n\n  c\n":   true,
		"#!/bin/bash\n":  true,
		"---\n...\n":     true,
		"{{ x }} ${y}\n": true,
		"":               false,
		"\n":             false,
		"a":              false,
		"a\n\n":          false,
		"\na\n":          false,
		" a\n":           false,
		"a \n":           false,
		"a\n \nb\n":      false,
		"a\tb\n":         false,
		"a\r\n":          false,
		"a\rb\n":         false,
		"a\x00\n":        false,
		"é\n":            false,
		"a\u0085b\n":     false,
		"a\u2028b\n":     false,
		"\ufeffa\n":      false,
		"\xff\n":         false,
		"a\x7f\n":        false,
	} {
		if got := Plain([]byte(text)); got != want {
			t.Errorf("Plain(%q) = %v, want %v", text, got, want)
		}
	}
}

func TestShorterComesBackExactly(t *testing.T) {
	for _, contents := range [][]byte{nil, []byte("a"), []byte("\x00\xff\n"), []byte(strings.Repeat("line\n", 100)), bytes.Repeat([]byte{0}, 100<<10)} {
		text, compressed := Shorter(contents, 4)
		if again, _ := Shorter(contents, 4); again != text {
			t.Errorf("two runs over %d bytes differ", len(contents))
		}
		read := FromBase64
		if compressed {
			read = FromGzipBase64
		}
		got, err := read(text)
		if err != nil || !bytes.Equal(got, contents) {
			t.Errorf("%d bytes came back as %d bytes, %v", len(contents), len(got), err)
		}
		if want := len(contents) > 100; compressed != want {
			t.Errorf("%d bytes compressed: %v, want %v", len(contents), compressed, want)
		}
	}
}

func TestGzipHeaderHasNoTimeAndNoName(t *testing.T) {
	packed, err := FromBase64(GzipBase64([]byte("x")))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(packed[3:8], make([]byte, 5)) { // flags and modification time of RFC 1952
		t.Errorf("gzip header % x says more than that it is gzip", packed[:10])
	}
}

// TestSharedPrefix wants contents back whatever the part that is said to be shared, and documents that share most of what they say smaller by sharing.
func TestSharedPrefix(t *testing.T) {
	var contents []byte
	for i := range 4000 {
		contents = fmt.Appendf(contents, "line %d of %x\n", i, i*i)
	}
	for _, shared := range []int{0, 1, 100, 32 << 10, len(contents) - 1, len(contents)} {
		packed := Gzip(contents, shared)
		if Gzip([]byte("another\n"), 0); !bytes.Equal(Gzip(contents, shared), packed) {
			t.Errorf("two runs with %d bytes shared differ", shared)
		}
		if got, err := Gunzip(packed); err != nil || !bytes.Equal(got, contents) {
			t.Errorf("with %d bytes shared: %d bytes came back as %d, %v", shared, len(contents), len(got), err)
		}
	}
	half := contents[:len(contents)/2]
	if twice, once := len(Gzip(append(half[:len(half):len(half)], half[len(half)-8<<10:]...), len(half))), len(Gzip(half, 0)); twice > once+200 {
		t.Errorf("what was said before takes %d bytes more", twice-once)
	}
}

// TestPrefixesAreForgotten wants contents back also when more prefixes were met than are kept.
func TestPrefixesAreForgotten(t *testing.T) {
	var all [][]byte
	for i := range 3 * cacheSize {
		contents := fmt.Appendf(nil, "beginning %d\nrest\n", i)
		all = append(all, Gzip(contents, len(contents)-len("rest\n")))
	}
	for i, packed := range all {
		if got, err := Gunzip(packed); err != nil || string(got) != fmt.Sprintf("beginning %d\nrest\n", i) {
			t.Errorf("%d came back as %q, %v", i, got, err)
		}
	}
	if n := len(prefixes.made); n > cacheSize {
		t.Errorf("%d prefixes are kept", n)
	}
}

// TestPrefixIsVerified: what a prefix holds is read from what it was compressed to, not taken from memory.
func TestPrefixIsVerified(t *testing.T) {
	for i := range 20 {
		contents := fmt.Appendf(nil, "beginning to be read %d\nrest\n", i)
		shared := len(contents) - len("rest\n")
		deflated := prefixOf(contents[:shared]).deflated
		wrong := newPrefix(bytes.ToUpper(contents[:shared]), deflated) // as a faulty compressor would leave it
		if wrong.verified() {
			t.Fatal("another text came back")
		}
		prefixes.Store(fmt.Append(nil, "wrong", i), wrong)
		if got, err := Gunzip(Gzip(contents, shared)); err != nil || !bytes.Equal(got, contents) {
			t.Errorf("%q, %v", got, err)
		}
	}
}

func TestGunzipRefusesMore(t *testing.T) {
	contents := []byte(strings.Repeat("shared\n", 100) + "own\n")
	for _, shared := range []int{0, len(contents) - len("own\n")} {
		packed := Gzip(contents, shared)
		change := func(at int) []byte {
			changed := bytes.Clone(packed)
			changed[(at+len(changed))%len(changed)] ^= 1
			return changed
		}
		for what, bad := range map[string][]byte{
			"nothing": nil, "half of it": packed[:len(packed)/2], "no sum": packed[:len(packed)-8], "a byte behind it": append(bytes.Clone(packed), 0),
			"a second stream": append(bytes.Clone(packed), packed...), "another time": change(4), "another sum": change(-8), "another length": change(-1),
		} {
			if got, err := Gunzip(bad); err == nil {
				t.Errorf("%s, %d bytes shared: read as %q", what, shared, got)
			}
		}
	}
}

func TestCutBase64IsRefused(t *testing.T) {
	whole := GzipBase64([]byte(strings.Repeat("line\n", 100)))
	if _, err := FromGzipBase64(whole[:len(whole)/8*4]); err == nil {
		t.Error("half a gzip stream was read without an error")
	}
	if _, err := FromBase64("!"); err == nil {
		t.Error("base64 with a foreign character was read without an error")
	}
}

func TestMeasure(t *testing.T) {
	packed, err := FromBase64(GzipBase64([]byte("abc")))
	if err != nil {
		t.Fatal(err)
	}
	const digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // of abc, FIPS 180-2, B.1
	if got, size, err := Measure(packed, 3); got != digest || size != 3 || err != nil {
		t.Errorf("abc has the digest %s and %d bytes, %v", got, size, err)
	}
	if got, size, err := Measure(packed, 2); err == nil || got != "" || size != 0 {
		t.Errorf("more than the limit has the digest %q and %d bytes", got, size)
	}
	packed[len(packed)-8] ^= 1 // the checksum of RFC 1952
	if _, _, err := Measure(packed, 3); err == nil {
		t.Error("a wrong checksum was not seen")
	}
}
