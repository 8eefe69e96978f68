package plan

import (
	"regexp"
	"strings"
)

// conf is what the scripts on a machine read: bash assignments in the order in which they were set. Scripts are the
// same on every machine; all that differs is here. What is empty is left out, since an unset name reads the same in
// bash and a worker's document has to stay small.
type conf struct {
	lines []string
}

// set assigns a string.
func (c *conf) set(name, value string) {
	if value == "" {
		return
	}
	c.lines = append(c.lines, name+"="+quote(value))
}

// setBool assigns true or false.
func (c *conf) setBool(name string, value bool) {
	text := "false"
	if value {
		text = "true"
	}
	c.set(name, text)
}

// setList assigns an array.
func (c *conf) setList(name string, values []string) {
	if len(values) == 0 {
		return
	}
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = quote(v)
	}
	c.lines = append(c.lines, name+"=("+strings.Join(quoted, " ")+")")
}

func (c *conf) bytes() []byte {
	return []byte("# Written by muster; read by bash.\n" + strings.Join(c.lines, "\n") + "\n")
}

// safe is text that bash takes for one word as it is, wherever it is in an assignment.
var safe = regexp.MustCompile(`^[A-Za-z0-9_./][A-Za-z0-9_./:-]*$`)

// quote makes one word of bash out of any text without NUL: single quotes keep everything but themselves. Every value
// that goes into a shell script passes through here.
func quote(text string) string {
	if safe.MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
