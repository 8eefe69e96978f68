// Package payload owns the forms in which a document carries a file's bytes: as they are, in base64, or compressed and
// in base64. It decides which bytes are text that every reader takes alike, and compresses so that the same bytes give
// the same output on every machine. It must not know any document format.
package payload

import (
	"bytes"
	stdflate "compress/flate" // the standard library's, so that a fault of the compressor's is seen
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
)

// Limit is the size in bytes above which a document is compressed as a whole: the most user data that EC2 takes, and the
// smallest limit of all platforms. Smaller documents stay readable.
const Limit = 16 << 10

// ProgramLimit is the most bytes that a program may have before compression: five times what the largest of ours has.
// Readers of documents hold a program in memory several times over.
const ProgramLimit = 64 << 20

// Plain reports whether contents is text that a literal block of YAML carries exactly under YAML 1.1 and 1.2, whoever
// wrote the reader: printable ASCII in lines, the last one ended and no other end of line than a line feed. Lines that
// end in white space, and a first line that starts with it (the block's indentation would be guessed from it), are the
// two places where writers and readers are known to disagree; tabs are left out for the same reason.
func Plain(contents []byte) bool {
	if len(contents) == 0 || contents[0] == ' ' || contents[0] == '\n' || contents[len(contents)-1] != '\n' {
		return false
	}
	for i, c := range contents {
		switch {
		case c == '\n':
			if contents[i-1] == ' ' || contents[i-1] == '\n' && i == len(contents)-1 {
				return false
			}
		case c < ' ' || c > '~':
			return false
		}
	}
	return true
}

// Base64 returns contents in standard base64 on one line.
func Base64(contents []byte) string { return base64.StdEncoding.EncodeToString(contents) }

// level is the one above which documents hardly get smaller: level 9 takes four times as long and saves one byte in eighty.
// sharedLevel is for what is compressed once for many documents.
const level, sharedLevel = 7, 9

// writers keeps compressors, each of which is close to a megabyte, for the next file.
var writers = sync.Pool{New: func() any { return newWriter(level) }}

func newWriter(level int) *flate.Writer {
	w, err := flate.NewWriter(io.Discard, level)
	if err != nil {
		panic(fmt.Sprintf("payload: %v", err)) // the levels are constants of the package
	}
	return w
}

// gzipHeader has neither a name nor a time (RFC 1952, 2.3), so that equal contents give an equal result. 255 is an unknown
// operating system.
const gzipHeader = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"

// Gzip returns contents compressed with gzip. The first shared bytes are a prefix of many documents: they are compressed
// once, and the rest is compressed with them as preset dictionary. The result is one gzip stream like any other, and follows
// from the two arguments alone.
func Gzip(contents []byte, shared int) []byte {
	var compressed bytes.Buffer
	compressed.Grow(len(contents)/2 + 64)
	compressed.WriteString(gzipHeader)
	if shared > 0 {
		compressed.Write(prefixOf(contents[:shared]).deflated)
	}
	w := writers.Get().(*flate.Writer)
	defer writers.Put(w)
	w.ResetDict(&compressed, contents[:shared])
	_, err := w.Write(contents[shared:])
	neverFails(errors.Join(err, w.Close()))
	compressed.Write(gzipTrailer(contents))
	return compressed.Bytes()
}

// gzipTrailer is what follows compressed contents (RFC 1952, 2.3.1).
func gzipTrailer(contents []byte) []byte {
	trailer := binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(contents))
	return binary.LittleEndian.AppendUint32(trailer, uint32(len(contents)))
}

// GzipBase64 returns contents compressed with gzip and in standard base64 on one line.
func GzipBase64(contents []byte) string { return Base64(Gzip(contents, 0)) }

// neverFails is for errors of writing to a bytes.Buffer.
func neverFails(err error) {
	if err != nil {
		panic(fmt.Sprintf("payload: gzip into memory: %v", err))
	}
}

// Shorter returns whichever of the two base64 forms of contents is shorter, and whether that one is compressed.
// Compression has to win by more than margin bytes: what the document needs to announce it.
func Shorter(contents []byte, margin int) (text string, compressed bool) {
	plain := Base64(contents)
	if packed := GzipBase64(contents); len(packed)+margin < len(plain) {
		return packed, true
	}
	return plain, false
}

// FromBase64 is the inverse of Base64.
func FromBase64(text string) ([]byte, error) { return base64.StdEncoding.Strict().DecodeString(text) }

// FromGzipBase64 is the inverse of GzipBase64.
func FromGzipBase64(text string) ([]byte, error) {
	packed, err := FromBase64(text)
	if err != nil {
		return nil, err
	}
	return Gunzip(packed)
}

// inflaters keeps decompressors for the next file.
var inflaters = sync.Pool{New: func() any { return stdflate.NewReader(nil) }}

// Gunzip returns what one gzip stream of Gzip's holds, ProgramLimit bytes at most. It is an error if packed holds anything
// else: another header, a second stream, or something behind the first one.
func Gunzip(packed []byte) ([]byte, error) {
	deflated, isOurs := bytes.CutPrefix(packed, []byte(gzipHeader))
	if !isOurs {
		return nil, errors.New("the gzip stream's header is not the one that it should have")
	}
	known, _ := prefixes.Find(func(p prefix) bool { return bytes.HasPrefix(deflated, p.deflated) && p.verified() })
	rest := bytes.NewReader(deflated[len(known.deflated):])
	r := inflaters.Get().(io.ReadCloser)
	defer inflaters.Put(r)
	if err := r.(stdflate.Resetter).Reset(rest, known.contents); err != nil {
		return nil, err
	}
	out := bytes.NewBuffer(make([]byte, 0, len(known.contents)+4*rest.Len()+bytes.MinRead))
	out.Write(known.contents)
	if _, err := out.ReadFrom(io.LimitReader(r, ProgramLimit+1)); err != nil {
		return nil, err
	}
	if out.Len() > ProgramLimit {
		return nil, fmt.Errorf("more than %d bytes come out of the gzip stream", ProgramLimit)
	}
	if !bytes.HasSuffix(packed, gzipTrailer(out.Bytes())) || rest.Len() != len(gzipTrailer(nil)) {
		return nil, errors.New("the gzip stream does not end with the sum of what it holds")
	}
	return out.Bytes(), nil
}

// measured is what Measure found, by the digest of the stream: all control planes carry the same program.
var measured Cache[program]

type program struct {
	digest string
	size   int64
}

// Measure returns the SHA-256, in lower-case hexadecimal, and the size in bytes of what a gzip stream holds, without
// keeping it. It is an error if that is more than most bytes.
func Measure(packed []byte, most int64) (digest string, size int64, err error) {
	key := sha256.Sum256(packed)
	p, err := measured.Get(key[:], func() (program, error) { return measure(packed, most) })
	if err != nil {
		return "", 0, err
	}
	if p.size > most {
		return "", 0, fmt.Errorf("holds more than %d bytes", most)
	}
	return p.digest, p.size, nil
}

// measure reads no more than one byte beyond most.
func measure(packed []byte, most int64) (program, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return program{}, err
	}
	h := sha256.New()
	size, err := io.Copy(h, io.LimitReader(r, most+1))
	if err != nil {
		return program{}, err
	}
	if size > most {
		return program{}, fmt.Errorf("holds more than %d bytes", most)
	}
	return program{hex.EncodeToString(h.Sum(nil)), size}, nil
}
