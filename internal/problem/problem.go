// Package problem owns what is wrong with a spec: where it is, what it is, and what to write instead. Every stage
// reports into one List, so that a user sees all problems of a run at once. It knows nothing of YAML, of the spec's
// types or of the terminal beyond printing a List.
package problem

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
)

// At is a place in a spec: the path of a value as a user would write it ("spec.nodes[1].address") and where it starts.
// Line and Column count from 1, Column in characters; both are 0 for a value that no line of the spec holds (a
// default), and then the nearest parent that has a line stands in.
type At struct {
	Path   string
	Line   int
	Column int
}

// Known reports whether a line of a file holds the value.
func (a At) Known() bool { return a.Line > 0 }

// Or is the one of two places that a line of a file holds, the first if both are: what is written there can be mended.
func (a At) Or(other At) At {
	if !a.Known() && other.Known() {
		return other
	}
	return a
}

// Severity orders what a problem does to the run.
type Severity int

const (
	// Error stops the run before anything is written.
	Error Severity = iota
	// Warning is printed and does not stop the run.
	Warning
	// Notice tells of something that muster did by itself and a user may not expect.
	Notice
)

// String is the word printed before a problem that is not an error.
func (s Severity) String() string {
	switch s {
	case Warning:
		return "warning"
	case Notice:
		return "notice"
	default:
		return "error"
	}
}

// Problem is one thing wrong at one place.
type Problem struct {
	Severity Severity
	// File is the name of the file as the user gave it.
	File string
	At
	// Message says what is wrong, lower case, without a full stop, and never holds a secret.
	Message string
	// Instead says what to write instead; empty only where the message already says it.
	Instead string
	// Weak says that any other error at the same path knows better: a value of another type may be wrong in other ways.
	Weak bool
}

// String is the one-line form: file:line:col: path: message; instead. A problem that is not an error has its severity in
// front of the path.
func (p Problem) String() string {
	severity := ""
	if p.Severity != Error {
		severity = p.Severity.String() + ": "
	}
	return p.place() + ": " + severity + p.Text()
}

// Text is the problem without its place in a file: path: message; instead.
func (p Problem) Text() string {
	text := p.Message
	if p.Instead != "" {
		text += "; " + p.Instead
	}
	if p.Path != "" {
		text = p.Path + ": " + text
	}
	return text
}

// place is where the problem is, as editors and terminals make a link of it.
func (p Problem) place() string {
	if !p.Known() {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// List collects problems. The zero value is ready to use. Problems may be added from several goroutines at once.
type List struct {
	// File is the name given to problems that are added without one.
	File     string
	adding   sync.Mutex
	problems []Problem
	seen     map[Problem]bool
}

// Add records p once: the same mistake met again on another way (a value that every node inherits) stays one problem.
func (l *List) Add(p Problem) {
	if p.File == "" {
		p.File = l.File
	}
	l.adding.Lock()
	defer l.adding.Unlock()
	if l.seen[p] {
		return
	}
	if l.seen == nil {
		l.seen = map[Problem]bool{}
	}
	l.seen[p] = true
	weaker := func(other Problem) bool { return other.Weak && other.File == p.File && other.Path == p.Path }
	if p.Severity == Error && !p.Weak {
		l.problems = slices.DeleteFunc(l.problems, weaker)
	}
	l.problems = append(l.problems, p)
}

// Errorf records an error at a place; instead says what to write.
func (l *List) Errorf(at At, instead, format string, args ...any) {
	l.Add(Problem{Severity: Error, At: at, Message: fmt.Sprintf(format, args...), Instead: instead})
}

// Warnf records a warning at a place; instead says what to write.
func (l *List) Warnf(at At, instead, format string, args ...any) {
	l.Add(Problem{Severity: Warning, At: at, Message: fmt.Sprintf(format, args...), Instead: instead})
}

// Noticef records a notice at a place.
func (l *List) Noticef(at At, format string, args ...any) {
	l.Add(Problem{Severity: Notice, At: at, Message: fmt.Sprintf(format, args...)})
}

// Sorted returns all problems by file, line, column, path, severity, message and advice.
func (l *List) Sorted() []Problem {
	out := slices.Clone(l.problems)
	slices.SortStableFunc(out, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Path, b.Path), cmp.Compare(a.Severity, b.Severity), cmp.Compare(a.Message, b.Message), cmp.Compare(a.Instead, b.Instead))
	})
	return out
}

// Failed reports whether any problem is an error.
func (l *List) Failed() bool { return l.Count(Error) > 0 }

// Count tells how many problems of one severity there are.
func (l *List) Count(s Severity) int {
	n := 0
	for _, p := range l.problems {
		if p.Severity == s {
			n++
		}
	}
	return n
}
