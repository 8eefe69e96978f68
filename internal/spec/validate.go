package spec

import (
	"reflect"
	"slices"
	"strings"
	"unicode"

	"muster/internal/kube"
	"muster/internal/problem"
)

// Validate checks a defaulted spec for meaning and reports everything that is wrong with it. Problems of its shape that
// decode found are expected in the list already: what could not be read is not complained about a second time.
//
// Every rule is a function whose comment starts with "Rule:". A rule reports where its own mistake stands and is silent
// about values that another rule, or decode, refuses: one mistake gives one problem.
func (c *Cluster) Validate(facts Facts, problems *problem.List) {
	if !c.Spec.Known() {
		return // an empty file, or one without a spec: decode has said so
	}
	v := newValidator(c, facts, problems)
	for _, rule := range stringRules {
		for _, s := range v.strings {
			rule(v, s)
		}
	}
	for _, scope := range v.scopes {
		for _, rule := range scopeRules {
			rule(v, scope)
		}
	}
	for _, target := range v.targets {
		for _, rule := range targetRules {
			rule(v, target)
		}
	}
	for _, rule := range clusterRules {
		rule(v)
	}
}

// The rules, by what they look at and in the order in which they run; an error at a path keeps later rules from
// reporting there.
var (
	// stringRules look at every string of the spec.
	stringRules = []func(*validator, stringValue){ruleOneLine, ruleText, ruleNotEmpty, ruleTrimmed}
	// scopeRules look at what is written at one place: for the cluster, for a role, for a node or pool.
	scopeRules = slices.Concat(networkScopeRules, kubernetesScopeRules, flagScopeRules, systemScopeRules, userRules, fileRules, unitRules,
		runtimeScopeRules, packageScopeRules, imageScopeRules)
	// targetRules look at all that holds for one node or pool together.
	targetRules = slices.Concat(nodeTargetRules, addressTargetRules, networkTargetRules, kubernetesTargetRules, flagTargetRules, mountTargetRules, systemTargetRules, userTargetRules, fileTargetRules,
		runtimeTargetRules, packageTargetRules)
	// clusterRules look at the whole.
	clusterRules = slices.Concat(nodeClusterRules, addressClusterRules, networkClusterRules, kubernetesClusterRules, flagClusterRules, mountClusterRules, userClusterRules, fileClusterRules,
		cniClusterRules, imageClusterRules, pxeClusterRules, rendezvousClusterRules, mergeClusterRules)
)

// validator is one run of the rules over one spec.
type validator struct {
	*Cluster
	facts    Facts
	problems *problem.List
	// version is the cluster's; versionKnown is false where it is missing or refused.
	version      kube.Version
	versionKnown bool
	scopes       []Scope
	targets      []Target
	strings      []stringValue
	// places are all values of the file by path, to find a parent's line.
	places map[string]At
	// failed are the paths at which an error was reported, unread those of decode's errors, warned those of a warning.
	failed, unread, warned map[string]bool
}

// stringValue is one string of the spec, with the tags of the field that holds it.
type stringValue struct {
	At
	text string
	tag  reflect.StructTag
}

func newValidator(c *Cluster, facts Facts, problems *problem.List) *validator {
	v := &validator{Cluster: c, facts: facts, problems: problems, targets: c.Targets(), places: map[string]At{}, failed: map[string]bool{}, unread: map[string]bool{}, warned: map[string]bool{}}
	v.scopes = []Scope{
		c.wide(),
		c.Spec.ControlPlane, c.Spec.Worker,
	}
	for _, n := range c.Spec.Nodes.Items {
		v.scopes = append(v.scopes, n.Scope)
	}
	for _, p := range c.Spec.Pools.Items {
		v.scopes = append(v.scopes, p.Scope)
	}
	v.walk(reflect.ValueOf(*c), "")
	for _, p := range problems.Sorted() {
		if p.Severity == problem.Error && !p.Weak && p.File == problems.File { // a profile's problems have paths of their own
			v.failed[p.Path], v.unread[p.Path] = true, true
		}
	}
	version, err := kube.Parse(c.Spec.Kubernetes.Version.V)
	v.version, v.versionKnown = version, err == nil && !v.failed[c.Spec.Kubernetes.Version.Path]
	return v
}

// walk collects the places and strings of a part of the spec; tag is that of the field that holds the part.
func (v *validator) walk(part reflect.Value, tag reflect.StructTag) {
	switch part.Kind() {
	case reflect.Slice:
		for i := range part.Len() {
			v.walk(part.Index(i), tag)
		}
	case reflect.Struct:
		v.walkStruct(part, tag)
	}
}

func (v *validator) walkStruct(part reflect.Value, tag reflect.StructTag) {
	var at At
	if field := part.FieldByName("At"); field.IsValid() {
		at = field.Interface().(At)
		if _, met := v.places[at.Path]; !met && at.Known() {
			v.places[at.Path] = at
		}
	}
	if part.Type() == reflect.TypeFor[Value[string]]() {
		if text := part.Interface().(Value[string]); text.Set {
			v.strings = append(v.strings, stringValue{At: at, text: text.V, tag: tag})
		}
		return
	}
	for i := range part.NumField() {
		field := part.Type().Field(i)
		switch {
		case field.Type == reflect.TypeFor[At]() || field.Type.Kind() == reflect.Interface:
		case field.Tag == "" && field.Name == "Key": // of an Entry
			v.strings = append(v.strings, stringValue{At: at, text: part.Field(i).String()})
		case field.Tag == "": // the inside of a List, a Map or an Entry
			v.walk(part.Field(i), tag)
		default:
			v.walk(part.Field(i), field.Tag)
		}
	}
}

// errorf reports an error, unless one was reported at the place already.
func (v *validator) errorf(at At, instead, format string, args ...any) {
	if v.answered(at) {
		return
	}
	v.failed[at.Path] = true
	v.problems.Errorf(v.locate(at), instead, format, args...)
}

// warnf reports a warning, unless an error or a warning was reported at the place already.
func (v *validator) warnf(at At, instead, format string, args ...any) {
	if v.answered(at) || v.warned[at.Path] {
		return
	}
	v.warned[at.Path] = true
	v.problems.Warnf(v.locate(at), instead, format, args...)
}

// answered reports whether an error was reported at a path already, or something would be called missing from a part
// that could not be read.
func (v *validator) answered(at At) bool {
	return v.failed[at.Path] || !at.Known() && v.insideUnread(at.Path)
}

func (v *validator) insideUnread(path string) bool {
	for path != "" && !v.unread[path] {
		path = parentPath(path)
	}
	return path != ""
}

// locate gives a place without a line, that of a default or of something missing, the line of its nearest parent.
func (v *validator) locate(at At) At {
	for path := at.Path; !at.Known() && path != ""; path = parentPath(path) {
		if parent, ok := v.places[path]; ok {
			at.Line, at.Column = parent.Line, parent.Column
		}
	}
	if !at.Known() {
		at.Line, at.Column = v.At.Line, v.At.Column
	}
	return at
}

// parentPath cuts the last key or index off a path.
func parentPath(path string) string {
	if strings.HasSuffix(path, `"]`) { // a quoted key, which may hold dots and brackets
		return path[:max(strings.LastIndex(path, `["`), 0)]
	}
	return path[:max(strings.LastIndexAny(path, ".["), 0)]
}

// below is the place of a key that is not written below a place that is.
func below(at At, key string) At { return At{Path: strings.TrimPrefix(at.Path+"."+key, ".")} }

// Rule: a string that is not a text of its own (contents, a command) holds no line break, no control character and no
// invisible character: it would inject a line into a hosts file, a unit or a script, or look like another value.
func ruleOneLine(v *validator, s stringValue) {
	if s.tag.Get("text") != "" {
		return
	}
	for _, r := range s.text {
		if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co, unicode.Noncharacter_Code_Point) {
			v.errorf(s.At, "write it as one line of visible characters", "the character U+%04X stands in it", r)
			return
		}
	}
}

// Rule: a command and a unit hold no control characters but line breaks and tabs: bash and systemd refuse the others or
// drop them.
func ruleText(v *validator, s stringValue) {
	if s.tag.Get("text") != "lines" {
		return
	}
	for _, r := range s.text {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			v.errorf(s.At, "write lines of text that end in a plain line feed", "the control character U+%04X stands in it", r)
			return
		}
	}
}

// Rule: a string is not empty, except where an empty one means something (a label's value, a file's contents).
func ruleNotEmpty(v *validator, s stringValue) {
	if s.tag.Get("empty") == "" && strings.TrimSpace(s.text) == "" {
		v.errorf(s.At, "write a value, or leave the key out", "the string is empty")
	}
}

// Rule: a string that is not a text of its own neither starts nor ends with white space.
func ruleTrimmed(v *validator, s stringValue) {
	if s.tag.Get("text") == "" && strings.TrimSpace(s.text) != s.text {
		v.errorf(s.At, "write it without white space around it", "it starts or ends with white space")
	}
}
