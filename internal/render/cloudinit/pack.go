package cloudinit

import (
	"bytes"
	"fmt"
	"strings"

	"muster/internal/render/payload"
)

// packedHeader makes cloud-init, from long before 19.4 on, unpack user-data that is compressed: a MIME message of one
// part. Compressed bytes alone would do for cloud-init as well, but not for tools that take user-data for text.
const packedHeader = "MIME-Version: 1.0\nContent-Type: " + packedType + "\nContent-Transfer-Encoding: base64\n\n"

const packedType = "application/gzip"

// mimeLine is the most characters of a line of base64 in a MIME message (RFC 2045, 6.8).
const mimeLine = 76

// pack compresses user-data as a whole. That beats compressing its files one by one: machines' files resemble each other
// and base64 is paid for once. The files are to be in userData as they are, wherever they can; shared is as for GzipBase64.
func pack(userData []byte, shared int) []byte {
	return append([]byte(packedHeader), wrapped(payload.GzipBase64(userData, shared))...)
}

// wrapped breaks base64 into lines.
func wrapped(text string) []byte {
	var b bytes.Buffer
	b.Grow(len(text) + len(text)/mimeLine + 1)
	for text != "" {
		n := min(len(text), mimeLine)
		b.WriteString(text[:n])
		b.WriteByte('\n')
		text = text[n:]
	}
	return b.Bytes()
}

// unpack is the inverse of pack, and returns user-data that is not packed as it is.
func unpack(userData []byte) ([]byte, error) {
	body, packed := bytes.CutPrefix(userData, []byte(packedHeader))
	if !packed {
		return userData, nil
	}
	text := strings.ReplaceAll(string(body), "\n", "")
	if !bytes.Equal(body, wrapped(text)) {
		return nil, fmt.Errorf("the packed part is not in the lines that it was written in")
	}
	return payload.FromGzipBase64(text)
}
