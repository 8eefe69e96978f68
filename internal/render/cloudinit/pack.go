package cloudinit

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"

	"muster/internal/render/payload"
)

// packedHeader makes cloud-init, from long before 19.4 on, unpack user-data that is compressed: a MIME message of one
// part. Compressed bytes alone would do for cloud-init as well, but not for tools that take user-data for text.
const packedHeader = "MIME-Version: 1.0\nContent-Type: " + packedType + "\nContent-Transfer-Encoding: base64\n\n"

const packedType = "application/gzip"

// mimeLine is the most characters of a line of base64 in a MIME message (RFC 2045, 6.8).
const mimeLine = 76

// pack compresses user-data as a whole. That beats compressing its files one by one: machines' files resemble each other
// and base64 is paid for once. The files are to be in userData as they are, wherever they can; shared is as for
// payload.Gzip.
func pack(userData []byte, shared int) []byte {
	packed := payload.Gzip(userData, shared)
	out := append(make([]byte, 0, len(packedHeader)+len(packed)*3/2), packedHeader...)
	return appendLines(out, packed)
}

// appendLines appends data in lines of base64.
func appendLines(to, data []byte) []byte {
	for line := range slices.Chunk(data, mimeLine/4*3) {
		to = append(base64.StdEncoding.AppendEncode(to, line), '\n')
	}
	return to
}

// unpack is the inverse of pack, and returns user-data that is not packed as it is.
func unpack(userData []byte) ([]byte, error) {
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
