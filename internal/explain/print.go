package explain

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"muster/internal/terminal"
)

// Print writes an explanation for people. out is the output folder, as the user calls it. Control characters of a file or
// value never reach a terminal. The error is w's.
func Print(w io.Writer, e *Explanation, out string) error {
	p := &printer{}
	p.title(e, out)
	p.machine(e.Machine)
	p.values(e)
	if e.Source != "" {
		p.row("from file", e.Source)
	}
	for _, t := range e.Templates {
		p.row("template", templateText(t))
	}
	for _, name := range e.Carries {
		p.row("carries", name)
	}
	for _, note := range e.Notes {
		p.row("note", note)
	}
	if e.Source == "" && len(e.Values)+len(e.Existence)+len(e.Templates)+len(e.Carries)+len(e.Notes) == 0 {
		p.row("note", "no value that the spec or a profile sets changes this")
	}
	p.table()
	_, err := w.Write(p.out.Bytes())
	return err
}

type printer struct {
	out  bytes.Buffer
	rows [][2]string
}

// row notes a line of the table; a label is written once for the rows that follow each other with it.
func (p *printer) row(label, text string) {
	p.rows = append(p.rows, [2]string{label, terminal.Escaped(text)})
}

func (p *printer) table() {
	w := tabwriter.NewWriter(&p.out, 0, 4, 2, ' ', 0)
	before := ""
	for _, r := range p.rows {
		label := r[0]
		if label == before {
			label = ""
		}
		fmt.Fprintf(w, "%s\t%s\n", label, r[1])
		before = r[0]
	}
	_ = w.Flush() // into memory
}

func (p *printer) title(e *Explanation, out string) {
	fmt.Fprint(&p.out, terminal.Escaped(strings.TrimSuffix(out, "/")+"/"+e.File))
	if e.Line > 0 {
		fmt.Fprintf(&p.out, ":%d", e.Line)
	}
	p.out.WriteString("\n")
	if e.Text != "" {
		p.out.WriteString("    " + terminal.Escaped(e.Text) + "\n")
	}
}

func (p *printer) machine(m *Machine) {
	if m == nil {
		return
	}
	p.row("machine", m.Folder+" ("+m.Where.short()+")")
	if m.Path != "" {
		p.row("path", m.Path)
	}
	p.row("profile", m.Profile+" ("+m.ProfileWhere.String()+")")
}

func (p *printer) values(e *Explanation) {
	labels := map[Kind]string{FromSpec: "from spec", FromDefault: "from default", FromProfile: "from profile"}
	for _, v := range e.Values {
		p.row(labels[v.Kind], v.text()+lineText(v.Lines))
	}
	for _, v := range e.Existence {
		p.row("exists by", v.text())
	}
}

// text is a value with its place.
func (v Value) text() string {
	text := v.Where.String()
	if v.Value != "" {
		text += " = " + shortened(v.Value)
	}
	return text
}

// maxValue is how much of a value is shown, in characters.
const maxValue = 60

func shortened(text string) string {
	if runes := []rune(text); len(runes) > maxValue {
		return string(runes[:maxValue]) + "…"
	}
	return text
}

// String is the place as editors and terminals make a link of it.
func (p Place) String() string {
	if p.Line == 0 {
		return p.Path
	}
	return p.short() + ": " + p.Path
}

func (p Place) short() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column) }

// lineText names lines, runs of them as one.
func lineText(lines []int) string {
	if len(lines) == 0 {
		return ""
	}
	var parts []string
	for i := 0; i < len(lines); {
		last := i
		for last+1 < len(lines) && lines[last+1] == lines[last]+1 {
			last++
		}
		part := strconv.Itoa(lines[i])
		if last > i {
			part += "-" + strconv.Itoa(lines[last])
		}
		parts, i = append(parts, part), last+1
	}
	word := "line "
	if len(lines) > 1 {
		word = "lines "
	}
	return "  → " + word + strings.Join(parts, ", ")
}

func templateText(t Template) string {
	if t.Line > 0 {
		return t.File + ":" + strconv.Itoa(t.Line)
	}
	lines := []int{}
	for n := t.Lines[0]; n <= t.Lines[1]; n++ {
		lines = append(lines, n)
	}
	return t.File + lineText(lines)
}
