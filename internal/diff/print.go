package diff

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"muster/internal/layout"
	"muster/internal/terminal"
)

// Print writes a report for people: each file, then what the changes mean. Nothing is written where nothing differs. The
// same change of several machines is shown once. Control characters of a file never reach a terminal. The error is w's.
func Print(w io.Writer, r *Report, color bool) error {
	if !r.Differs() {
		return nil
	}
	p := printer{color: color, shown: map[string]string{}}
	for _, f := range r.Files {
		p.file(f)
	}
	p.machines(r.Machines)
	_, err := w.Write(p.out.Bytes())
	return err
}

type printer struct {
	out   bytes.Buffer
	color bool
	// shown is where a change was shown first.
	shown map[string]string
}

func (p *printer) file(f File) {
	p.line(terminal.Bold, headline(f))
	for _, words := range f.Words {
		p.line(lineColor(words), "  "+words)
	}
	if f.Text == "" {
		for _, line := range sizes(f) {
			p.line("", "  "+line)
		}
		return
	}
	header, hunks := splitHeader(f.Text)
	_, rest := layout.Split(f.Path)
	key := rest + "\x00" + hunks
	if first := p.shown[key]; first != "" {
		p.line("", "  the same change as in "+first)
		return
	}
	p.shown[key] = f.Path
	for line := range strings.Lines(header) {
		p.line(terminal.Bold, strings.TrimSuffix(line, "\n"))
	}
	for line := range strings.Lines(hunks) {
		p.line(lineColor(line), strings.TrimSuffix(line, "\n"))
	}
}

// headline names the file and what happens to it.
func headline(f File) string {
	text := string(f.Change) + " " + f.Path
	switch f.ByHand {
	case "edited":
		text += " (edited by hand: the edit would be lost)"
	case "removed":
		text += " (removed by hand)"
	}
	if f.Note != "" {
		text += ": " + f.Note
	}
	return text
}

// sizes stand for contents that are not shown.
func sizes(f File) []string {
	one := func(v *Version) string { return fmt.Sprintf("%d bytes, sha256 %s", v.Size, v.SHA256) }
	switch {
	case f.Old != nil && f.New != nil:
		return []string{"from " + one(f.Old), "to   " + one(f.New)}
	case f.Old != nil:
		return []string{one(f.Old)}
	case f.New != nil:
		return []string{one(f.New)}
	default:
		return nil
	}
}

// splitHeader takes the two lines with names off a unified diff; both parts are empty for texts that do not differ.
func splitHeader(text string) (header, hunks string) {
	at := strings.Index(text, "\n@@ ")
	return text[:at+1], text[at+1:]
}

func lineColor(line string) string {
	switch line[0] {
	case '-':
		return terminal.Red
	case '+':
		return terminal.Green
	case '@':
		return terminal.Cyan
	default:
		return ""
	}
}

func (p *printer) line(color, text string) {
	text = terminal.Escaped(text)
	if p.color && color != "" {
		text = color + text + terminal.Reset
	}
	p.out.WriteString(text + "\n")
}

func (p *printer) machines(all []Machine) {
	p.out.WriteString("\n")
	w := tabwriter.NewWriter(&p.out, 0, 4, 2, ' ', 0)
	for _, m := range all {
		fmt.Fprintf(w, "%s\t%s\n", terminal.Escaped(m.Folder), m.Meaning)
	}
	_ = w.Flush() // into memory
}
