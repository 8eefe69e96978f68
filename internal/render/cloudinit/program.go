package cloudinit

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"muster/internal/node"
	"muster/internal/render/payload"
)

// programHead and programBody are a boothook, a script that cloud-init runs at every boot before it reads its
// configuration; between them are the values, and after them the compressed program in base64. While the file $done is
// missing it puts the program in its place, unless that is whole, and so repairs what a cut left by itself: the repair
// of write_files knows nothing of it. A new program takes its name only when it is whole and on the disk.
//
// The script reads the program from its own file and ends before the shell would have to parse it. It keeps to what the
// shells and coreutils of CentOS 7 have (sync takes no file there), and gives the SELinux label that the policy wants for
// the path, as write_files does.
const (
	programHead = "#!/bin/sh\n"
	programBody = `set -e
umask 022
[ ! -e "$done" ] || exit 0
whole() { [ -f "$1" ] && [ "$(sha256sum <"$1")" = "$digest  -" ]; }
if ! whole "$file"; then
  new=$file.unpacking
  rm -rf -- "$new"
  mkdir -p -- "$(dirname -- "$file")"
  sed '1,/^exit$/d' "$0" | base64 -d | gzip -d >"$new" || :
  if ! whole "$new"; then
    echo "$file cannot be unpacked: is the disk full?" >&2
    rm -f -- "$new"
    exit 1
  fi
  chmod -- "$mode" "$new"
  sync
  mv -fT -- "$new" "$file"
  ! command -v restorecon >/dev/null || restorecon -- "$file"
fi
chown -- root:root "$file"
chmod -- "$mode" "$file"
exit
`
)

// programLine is how many bytes of a compressed program one line of its base64 holds. Lines are long since every one costs
// cloud-init's MIME parser the same time; a message's lines may have 998 characters (RFC 5322, 2.1.1).
const programLine = 720

// appendProgram appends the boothook of a program to a message. The done file is that of the machine.
func appendProgram(message []byte, p node.Program, done string) []byte {
	message = fmt.Appendf(message, "%sfile=%s\nmode=%04o\ndigest=%s\ndone=%s\n%s", programHead, quote(p.Path), p.Mode.Perm(), p.SHA256, quote(done), programBody)
	for line := range slices.Chunk(p.Gzip, programLine) {
		message = base64.StdEncoding.AppendEncode(message, line)
		message = append(message, '\n')
	}
	return message
}

// readProgram is the inverse of appendProgram for what a program is; whether the rest is as it should be shows when the
// boothook is made again. The digest and the size are those of the bytes that are really there.
func readProgram(hook []byte) (node.Program, error) {
	head, body, isHook := bytes.Cut(hook, []byte(programBody))
	values := strings.Split(string(head), "\n")
	if !isHook || len(values) != 6 {
		return node.Program{}, fmt.Errorf("a part is not the boothook of a program")
	}
	mode, err := strconv.ParseUint(strings.TrimPrefix(values[2], "mode="), 8, 12)
	if err != nil {
		return node.Program{}, fmt.Errorf("a boothook's mode: %w", err)
	}
	p := node.Program{Path: unquote(strings.TrimPrefix(values[1], "file=")), Mode: fs.FileMode(mode)}
	if p.Gzip, err = payload.FromBase64(string(body)); err != nil {
		return node.Program{}, fmt.Errorf("the boothook of %s: %w", p.Path, err)
	}
	if p.SHA256, p.Size, err = payload.Measure(p.Gzip, payload.ProgramLimit); err != nil {
		return node.Program{}, fmt.Errorf("the boothook of %s: %w", p.Path, err)
	}
	return p, nil
}

// quote returns one word for a shell. The boothook is the only script that values are written into: all others get them
// as arguments.
func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// unquote is the inverse of quote.
func unquote(quoted string) string {
	word := strings.TrimSuffix(strings.TrimPrefix(quoted, "'"), "'")
	return strings.ReplaceAll(word, `'\''`, "'")
}
