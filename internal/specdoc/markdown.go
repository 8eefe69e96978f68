package main

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// intro is the text of the page before its tables.
//
//go:embed intro.md
var intro string

// titles are the headings of blocks that are in several scopes or whose path tells nothing.
var titles = map[string]string{
	"Cluster": "The file",
	"Profile": "The file",
	"Machine": "What may be said everywhere",
	"Scope":   "What may be said of a role, a node or a pool",
}

// markdown is the page for people.
func (m *model) markdown() []byte {
	var out strings.Builder
	out.WriteString(intro)
	out.WriteString("\n## Contents\n\n")
	for _, b := range m.blocks {
		fmt.Fprintf(&out, "- %s\n", m.link(b))
	}
	out.WriteString("- [Rules](#rules)\n")
	for _, b := range m.blocks {
		m.section(&out, b)
	}
	m.rules(&out)
	return []byte(out.String())
}

// title is the heading of a block: the path, or the paths, that it is at.
func (m *model) title(b *block) string {
	if title, ok := titles[b.structure.Name()]; ok {
		return title
	}
	title := strings.Join(paths(b), ", ")
	for _, other := range m.blocks {
		if other != b && slices.Equal(paths(other), paths(b)) {
			return title + " (" + joinScopes(scopes(b), "and") + ")"
		}
	}
	return title
}

// paths are the places of a block, each once: below its scope, or in full where the block is the scope itself.
func paths(b *block) []string {
	var out []string
	for _, p := range b.places {
		path := p.below
		if path == "" {
			path = p.full
		}
		if !slices.Contains(out, path) {
			out = append(out, path)
		}
	}
	return out
}

func scopes(b *block) []scope {
	var out []scope
	for _, p := range b.places {
		if !slices.Contains(out, p.scope) {
			out = append(out, p.scope)
		}
	}
	return out
}

func joinScopes(all []scope, last string) string {
	if len(all) == 1 {
		return string(all[0])
	}
	words := make([]string, len(all))
	for i, s := range all {
		words[i] = string(s)
	}
	return strings.Join(words[:len(words)-1], ", ") + " " + last + " " + words[len(words)-1]
}

func (m *model) link(b *block) string {
	return fmt.Sprintf("[%s](#%s)", escape(m.title(b)), anchor(m.title(b)))
}

// anchor is the name that GitHub gives a heading.
func anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		default:
			return -1
		}
	}, heading)
}

// escape keeps Markdown from reading brackets and the like in running text.
func escape(text string) string {
	return strings.NewReplacer("<", "&lt;", ">", "&gt;", "[", `\[`, "]", `\]`, "|", `\|`, "*", `\*`, "_", `\_`).Replace(text)
}

// code is text in a table's cell as it would be typed.
func code(text string) string { return "`" + strings.ReplaceAll(text, "|", `\|`) + "`" }

func (m *model) section(out *strings.Builder, b *block) {
	fmt.Fprintf(out, "\n## %s\n\n%s\n", escape(m.title(b)), escape(b.doc))
	for _, inner := range b.inlined {
		fmt.Fprintf(out, "\nAnd all of %s.\n", m.link(inner))
	}
	if rule := choiceText(choices[b.structure.Name()]); rule != "" {
		fmt.Fprintf(out, "\n%s\n", rule)
	}
	if len(b.fields) > 0 {
		out.WriteString("\n| Key | Type | Default | Where | Meaning | Example |\n|---|---|---|---|---|---|\n")
		for _, f := range b.fields {
			m.row(out, b, f)
		}
	}
	if len(b.refused) > 0 {
		out.WriteString("\nNot here, on purpose:\n\n")
		keys := map[string][]string{} // by the reason
		for _, key := range slices.Sorted(maps.Keys(b.refused)) {
			keys[b.refused[key]] = append(keys[b.refused[key]], key)
		}
		for _, reason := range slices.Sorted(maps.Keys(keys)) {
			fmt.Fprintf(out, "- %s: %s\n", codes(keys[reason], "and"), escape(reason))
		}
	}
}

func choiceText(c choice) string {
	switch {
	case len(c.oneOf) > 0:
		return "Exactly one of " + codes(c.oneOf, "and") + " stands here."
	case len(c.atMostOne) > 0:
		return "No two of " + codes(c.atMostOne, "and") + " stand together."
	default:
		return ""
	}
}

func codes(words []string, last string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = code(w)
	}
	if len(quoted) == 1 {
		return quoted[0]
	}
	return strings.Join(quoted[:len(quoted)-1], ", ") + " " + last + " " + quoted[len(quoted)-1]
}

func (m *model) row(out *strings.Builder, b *block, f field) {
	fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %s |\n",
		code(f.key), m.typeText(f, f.shape, false), m.defaultText(b, f), m.whereText(b, f), escape(f.doc), code(f.key+": "+f.example))
}

// typeText names a type in a user's words; several asks for the plural.
func (m *model) typeText(f field, s shape, several bool) string {
	plural := ""
	if several {
		plural = "s"
	}
	switch s.kind {
	case list:
		return "list" + plural + " of " + m.typeText(f, *s.item, true)
	case table:
		return "map" + plural + " of names to " + m.typeText(f, *s.item, true)
	case number:
		return "number" + plural + rangeText(constraints[f.owner])
	case boolean:
		return "boolean" + plural
	case free:
		return "anything"
	case blockOf:
		return fmt.Sprintf("[block%s](#%s)", plural, anchor(m.title(m.block(s.structure))))
	}
	if len(f.enum) > 0 {
		return codes(f.enum, "or")
	}
	return "string" + plural
}

func rangeText(c constraint) string {
	if c.max == 0 {
		return ""
	}
	return fmt.Sprintf(", %d to %d", c.min, c.max)
}

func (m *model) defaultText(b *block, f field) string {
	value, ok := m.defaultOf(b, f)
	switch {
	case f.atOnce:
		return "**required**"
	case f.required:
		return "**required**, in one of the scopes"
	case !ok:
		return ""
	case value.computed:
		return "*computed*"
	default:
		return code(fmt.Sprint(value.value))
	}
}

// whereText lists the scopes of a key; in a block that is at several paths they may differ from one to the next.
func (m *model) whereText(b *block, f field) string {
	texts := map[string][]string{} // paths by what is to be said of them
	var order []string
	for _, path := range paths(b) {
		text := m.scopesText(b, path, f)
		if texts[text] == nil {
			order = append(order, text)
		}
		texts[text] = append(texts[text], path)
	}
	if len(order) == 1 {
		return order[0]
	}
	for i, text := range order {
		order[i] = codes(texts[text], "and") + ": " + text
	}
	return strings.Join(order, "; ")
}

func (m *model) scopesText(b *block, path string, f field) string {
	var said []scope
	for _, p := range b.places {
		if p.below != path && (p.below != "" || p.full != path) {
			continue
		}
		for _, s := range m.scopesOf(b, p.child(f.key, "")) {
			if !slices.Contains(said, s) {
				said = append(said, s)
			}
		}
	}
	slices.SortFunc(said, func(a, b scope) int { return slices.Index(machineScopes, a) - slices.Index(machineScopes, b) })
	return where(said)
}

// scopesOf are the scopes of a key of a block. A key that may not be said of the cluster is the block's own there: a
// node's name has nothing to do with a pool's.
func (m *model) scopesOf(b *block, key place) []scope {
	all := m.where[key.below]
	if key.below == "" {
		all = m.where[key.full]
	}
	if slices.Contains(all, ofCluster) {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(s scope) bool { return !slices.Contains(scopes(b), s) })
}

// where names scopes, by those that are missing where they are few.
func where(said []scope) string {
	if !slices.Contains(said, ofCluster) || len(said) == 1 {
		return joinScopes(said, "and")
	}
	missing := slices.DeleteFunc(slices.Clone(machineScopes), func(s scope) bool { return slices.Contains(said, s) })
	if len(missing) == 0 {
		return "everywhere"
	}
	return "everywhere but " + joinScopes(missing, "and")
}

// rules lists what gen check looks at, in the words of the rules' comments.
func (m *model) rules(out *strings.Builder) {
	count := 0
	for _, a := range m.areas {
		count += len(a.rules)
	}
	fmt.Fprintf(out, "\n## Rules\n\nBeside the types above, `gen check` holds a spec against %d rules. A mistake is reported once, where it stands.\n", count)
	for _, a := range m.areas {
		fmt.Fprintf(out, "\n### %s\n\n", a.title)
		for _, rule := range a.rules {
			fmt.Fprintf(out, "- %s\n", escape(rule))
		}
	}
}
