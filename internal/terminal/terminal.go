// Package terminal owns what may reach a person's terminal: which characters must not, the colours, and whether there is one.
package terminal

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The escapes of colours. Reset ends each of them.
const (
	Bold       = "\x1b[1m"
	Red        = "\x1b[31m"
	Green      = "\x1b[32m"
	Cyan       = "\x1b[36m"
	BoldRed    = "\x1b[1;31m"
	BoldYellow = "\x1b[1;33m"
	BoldCyan   = "\x1b[1;36m"
	Reset      = "\x1b[0m"
)

// Is reports whether w is a terminal's file.
func Is(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Colors reports whether to write to w in colours: to a terminal, unless its user wants none.
func Colors(w io.Writer) bool { return Is(w) && os.Getenv("NO_COLOR") == "" }

// obeyed reports whether a terminal may obey a character instead of drawing it: control characters but the tab, what turns
// the direction of writing or is not seen at all, and separators of lines.
func obeyed(r rune) bool {
	return unicode.IsControl(r) && r != '\t' || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)
}

// Masked replaces each character that a terminal may obey by U+FFFD, which takes one column.
func Masked(text string) string {
	return strings.Map(func(r rune) rune {
		if obeyed(r) {
			return utf8.RuneError
		}
		return r
	}, text)
}

// Escaped writes each character that a terminal may obey as the escape of its number, which tells one from another.
func Escaped(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case !obeyed(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
