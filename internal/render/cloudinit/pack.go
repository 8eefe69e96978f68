package cloudinit

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"

	"muster/internal/render/payload"
)

// packedHeader makes cloud-init, from long before 19.4 on, unpack user-data that is compressed: a MIME message of one
// part. Compressed bytes alone do for cloud-init as well (convert_string tries gzip on all user-data), but not for tools and
// platforms that take user-data for text.
const packedHeader = "MIME-Version: 1.0\nContent-Type: " + packedType + "\nContent-Transfer-Encoding: base64\n\n"

const packedType = "application/gzip"

// mimeLine is the most characters of a line of base64 in a MIME message (RFC 2045, 6.8).
const mimeLine = 76

// pack makes a message of user-data that is compressed as a whole. That beats compressing its files one by one: machines'
// files resemble each other and base64 is paid for once. The files are to be in user-data as they are, wherever they can.
func pack(compressed []byte) []byte {
	out := append(make([]byte, 0, len(packedHeader)+len(compressed)*3/2), packedHeader...)
	return appendLines(out, compressed)
}

// appendLines appends data in lines of base64.
func appendLines(to, data []byte) []byte {
	for line := range slices.Chunk(data, mimeLine/4*3) {
		to = append(base64.StdEncoding.AppendEncode(to, line), '\n')
	}
	return to
}

// gzipMagic begins compressed bytes (RFC 1952, 2.3.1), and no text.
const gzipMagic = "\x1f\x8b"

// unpack returns the user-data that was compressed, packed or bare, and user-data that was not as it is.
func unpack(userData []byte) ([]byte, error) {
	if bytes.HasPrefix(userData, []byte(gzipMagic)) {
		return payload.Gunzip(userData)
	}
	body, isPacked := bytes.CutPrefix(userData, []byte(packedHeader))
	if !isPacked {
		return userData, nil
	}
	packed, err := payload.FromBase64(string(body)) // passes over line feeds
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(body, appendLines(make([]byte, 0, len(body)), packed)) {
		return nil, fmt.Errorf("the packed part is not in the lines that it was written in")
	}
	return payload.Gunzip(packed)
}
