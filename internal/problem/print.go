package problem

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"

	"muster/internal/terminal"
)

// Style is how Print writes problems.
type Style struct {
	// Source is the text of files by the name that problems have in File. A problem in one of them is followed by its line
	// and a mark under the place; without sources each problem is one line.
	Source map[string][]byte
	// Color marks severities and places with ANSI escapes.
	Color bool
}

func (s Severity) color() string {
	switch s {
	case Warning:
		return terminal.BoldYellow
	case Notice:
		return terminal.BoldCyan
	default:
		return terminal.BoldRed
	}
}

// Print writes problems for a person, in the order given. Control characters of a message or of a source line never reach
// the terminal. The error is that of w.
func Print(w io.Writer, problems []Problem, style Style) error {
	var out bytes.Buffer
	for _, p := range problems {
		line := terminal.Masked(p.String())
		if style.Color {
			line = terminal.Masked(p.place()) + ": " + p.Severity.color() + p.Severity.String() + terminal.Reset + ": " + terminal.Masked(p.Text())
		}
		out.WriteString(line + "\n")
		if text, ok := sourceLine(style.Source[p.File], p.Line); ok {
			writeExcerpt(&out, p, text, style.Color)
		}
	}
	_, err := w.Write(out.Bytes())
	return err
}

// sourceLine returns a line of a text, counted from 1, without its end.
func sourceLine(source []byte, line int) (string, bool) {
	if line < 1 {
		return "", false
	}
	for range line - 1 {
		_, rest, more := bytes.Cut(source, []byte("\n"))
		if !more {
			return "", false
		}
		source = rest
	}
	text, _, more := bytes.Cut(source, []byte("\n"))
	text = bytes.TrimPrefix(bytes.TrimSuffix(text, []byte("\r")), []byte("\ufeff"))
	return string(text), more || len(text) > 0
}

// The widths of an excerpt, in columns.
const (
	tabStop    = 8
	maxExcerpt = 100
	// leadIn is what is kept in front of a place in a line that is cut.
	leadIn = 30
)

// writeExcerpt writes a source line and a mark under the word at the problem's column.
func writeExcerpt(out *bytes.Buffer, p Problem, text string, color bool) {
	shown, from, to := layout(text, p.Column)
	number := fmt.Sprintf("%5d", p.Line)
	mark := "^" + strings.Repeat("~", max(to-from-1, 0))
	if color {
		mark = p.Severity.color() + mark + terminal.Reset
	}
	fmt.Fprintf(out, "%s | %s\n", number, strings.TrimRight(shown, " "))
	fmt.Fprintf(out, "%s | %s%s\n", strings.Repeat(" ", len(number)), strings.Repeat(" ", from), mark)
}

// cell is one character of a line as a terminal draws it.
type cell struct {
	text  string
	width int
}

// layout draws a line with tabs as spaces, cuts it around the word at a column (counted in characters from 1), and tells
// the screen columns, from 0, at which that word begins and ends.
func layout(text string, column int) (shown string, from, to int) {
	cells := cellsOf(text)
	first := min(max(column-1, 0), len(cells))
	last := first + wordLength([]rune(text)[first:])
	begin := 0
	if columns(cells) > maxExcerpt {
		for columns(cells[begin:first]) > leadIn {
			begin++
		}
	}
	var b strings.Builder
	used := 0
	if begin > 0 {
		b.WriteString("…")
		used = 1
	}
	for i := begin; i < len(cells); i++ {
		if used+cells[i].width > maxExcerpt {
			b.WriteString("…")
			break
		}
		if i == first {
			from, to = used, used
		}
		used += cells[i].width
		if i < last && i >= first {
			to = used
		}
		b.WriteString(cells[i].text)
	}
	if first == len(cells) {
		from, to = used, used
	}
	return b.String(), from, to
}

// cellsOf splits a line into one cell for each character.
func cellsOf(text string) []cell {
	var cells []cell
	at := 0
	for _, r := range text {
		c := cell{text: terminal.Masked(string(r)), width: width(r)}
		switch {
		case r == '\t':
			c.width = tabStop - at%tabStop
			c.text = strings.Repeat(" ", c.width)
		case c.text != string(r):
			c.width = 1
		}
		at += c.width
		cells = append(cells, c)
	}
	return cells
}

func columns(cells []cell) int {
	sum := 0
	for _, c := range cells {
		sum += c.width
	}
	return sum
}

// wordLength is how many characters of a YAML line belong to the key or value at its start.
func wordLength(line []rune) int {
	if len(line) == 0 {
		return 0
	}
	if quote := line[0]; quote == '"' || quote == '\'' {
		for i := 1; i < len(line); i++ {
			switch {
			case line[i] == '\\' && quote == '"':
				i++
			case line[i] == quote:
				return i + 1
			}
		}
		return len(line)
	}
	for i, r := range line {
		ends := unicode.IsSpace(r) || strings.ContainsRune(",]}", r) || r == ':' && (i+1 == len(line) || unicode.IsSpace(line[i+1]))
		if ends {
			return max(i, 1)
		}
	}
	return len(line)
}

// jsonProblem is a problem as editors read it.
type jsonProblem struct {
	File     string `json:"file"`
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Path     string `json:"path"`
	Severity string `json:"severity"`
	Message  string `json:"message"`
	Instead  string `json:"instead"`
}

// JSON writes problems as one array, in the order given, and [] when there are none. Line and column are 0 where no line
// of a file holds the value. The error is that of w.
func JSON(w io.Writer, problems []Problem) error {
	list := make([]jsonProblem, 0, len(problems))
	for _, p := range problems {
		list = append(list, jsonProblem{p.File, p.Line, p.Column, p.Path, p.Severity.String(), p.Message, p.Instead})
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(list)
}
