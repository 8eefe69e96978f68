package explain

import (
	"fmt"
	"strings"

	"muster/internal/node"
	"muster/templates"
)

// Template is a text of muster's own that lines of a file were taken from.
type Template struct {
	// File is the template, in muster's repository.
	File string `json:"file"`
	// Line is the template's line, from 1, where one line is asked for.
	Line int `json:"line,omitempty"`
	// Lines are the first and the last line of the file that were taken from the template, where the whole file is asked
	// for.
	Lines []int `json:"lines,omitempty"`
}

// templateFolder is the folder of the templates in muster's repository.
const templateFolder = "templates/"

// joined is what a plan calls the template of the script that is put together from many.
const joined = "scripts"

// unitTemplate is the template of one of muster's own units, or "".
func unitTemplate(u node.Unit) string {
	name := "units/" + u.Name
	text, err := templates.FS.ReadFile(name)
	if err != nil || strings.Count(string(text), "\n") != strings.Count(u.Contents, "\n") {
		return ""
	}
	return name
}

// templates says which template the lines of a file were taken from.
func (e *explainer) templates(f node.File, line int) error {
	if f.Template == "" {
		return nil
	}
	var origins []origin
	if f.Template == joined {
		var err error
		if origins, err = scriptOrigins(strings.Split(strings.TrimSuffix(string(f.Contents), "\n"), "\n")); err != nil {
			return fmt.Errorf("%s: %w", e.out.File, err)
		}
	} else {
		for i := range countLines(f.Contents) {
			origins = append(origins, origin{f.Template, i + 1})
		}
	}
	if line > 0 {
		if o := origins[line-1]; o.file != "" {
			e.out.Templates = []Template{{File: templateFolder + o.file, Line: o.line}}
		}
		return nil
	}
	for i, o := range origins {
		last := len(e.out.Templates) - 1
		switch {
		case o.file == "":
		case last >= 0 && e.out.Templates[last].File == templateFolder+o.file:
			e.out.Templates[last].Lines[1] = i + 1
		default:
			e.out.Templates = append(e.out.Templates, Template{File: templateFolder + o.file, Lines: []int{i + 1, i + 1}})
		}
	}
	return nil
}

// origin is a line of a template; no file is for a line that gen puts between templates.
type origin struct {
	file string
	line int
}

// scriptOrigins finds the template of each line of the script that templates.Script joins: the libraries, the steps that the
// script lists itself, each below its label, and the runner. Comments, blank lines and indentation were left out, so each line is the
// next equal one of its template.
func scriptOrigins(script []string) ([]origin, error) {
	steps, err := stepsOf(script)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(steps))
	for i, label := range steps {
		ids[i] = strings.Replace(label, "_", "/", 1)
	}
	libraries := templates.Libraries(ids)
	r := &scriptReader{follow: libraries[1:]}
	if err := r.load(libraries[0]); err != nil {
		return nil, err
	}
	for i, line := range script {
		label := strings.TrimSuffix(line, ")")
		switch {
		case r.next(line):
		case i < 2 || line == "define_step() {" || line == "case $1 in" || line == ";;" || line == "esac" || line == "}":
			r.between()
		case len(steps) > 0 && label == steps[0]:
			err, steps = r.open("scripts/"+ids[0]+".sh"), steps[1:]
			ids = ids[1:]
		case strings.HasPrefix(line, "STEPS=("):
			err = r.open("scripts/main.sh")
		default:
			err = fmt.Errorf("no template has line %d; that is a mistake of gen's, please report it", i+1)
		}
		if err != nil {
			return nil, err
		}
	}
	return r.origins, nil
}

// stepsOf reads the labels of the steps off a script.
func stepsOf(script []string) ([]string, error) {
	for _, line := range script {
		if list, ok := strings.CutPrefix(line, "STEPS=("); ok {
			return strings.Fields(strings.TrimSuffix(list, ")")), nil
		}
	}
	return nil, fmt.Errorf("the script lists no steps; that is a mistake of gen's, please report it")
}

// scriptReader goes through templates as a script does.
type scriptReader struct {
	file    string
	lines   []string
	at      int // the line to look at next
	origins []origin
	// follow are the templates that come after this one with no line between.
	follow []string
}

// open goes on with another template. The line that leads to it is gen's own.
func (r *scriptReader) open(file string) error {
	r.between()
	return r.load(file)
}

// load goes on with another template at once.
func (r *scriptReader) load(file string) error {
	text, err := templates.FS.ReadFile(file)
	if err != nil {
		return fmt.Errorf("template %s is not there; that is a mistake of gen's, please report it", file)
	}
	r.file, r.lines, r.at = file, strings.Split(string(text), "\n"), 0
	return nil
}

// next takes a line of the script if it is the template's next.
func (r *scriptReader) next(line string) bool {
	for i := r.at; i < len(r.lines); i++ {
		if strings.TrimSpace(r.lines[i]) == line {
			r.origins, r.at = append(r.origins, origin{r.file, i + 1}), i+1
			return true
		}
		if code := strings.TrimSpace(r.lines[i]); code != "" && !strings.HasPrefix(code, "#") {
			return false
		}
	}
	if len(r.follow) == 0 {
		return false
	}
	file := r.follow[0]
	r.follow = r.follow[1:]
	return r.load(file) == nil && r.next(line) // a line of a template that is not there is reported as nobody's
}

// between takes a line that gen puts in.
func (r *scriptReader) between() { r.origins = append(r.origins, origin{}) }
