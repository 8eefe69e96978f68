package decode_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"muster/internal/decode"
	"muster/internal/problem"
)

// file is a type with every kind of value that a spec or a profile has.
type file struct {
	decode.At
	Common `yaml:",inline"`
	Name   decode.Value[string]              `yaml:"name" required:"true" example:"k8s"`
	Mode   decode.Value[string]              `yaml:"mode" enum:"ipvs,iptables,nftables" example:"ipvs"`
	Hash   decode.Value[decode.Secret]       `yaml:"hash" example:"$6$x"`
	Port   decode.Value[int]                 `yaml:"port" example:"6443"`
	Check  decode.Value[bool]                `yaml:"check" example:"true"`
	Words  decode.List[decode.Value[string]] `yaml:"words" example:"[a]"`
	Items  decode.List[item]                 `yaml:"items" example:"[{path: /a}]"`
	Rest   decode.List[decode.Value[string]] `yaml:"rest" example:"[b]" empty:"true"`
	Labels decode.Map[decode.Value[string]]  `yaml:"labels" example:"{a: b}"`
	Links  decode.Map[item]                  `yaml:"links" example:"{a: {path: /a}}"`
	Loads  decode.Map[load]                  `yaml:"loads" example:"{a: {sum: \"00\"}}"`
	Bonds  decode.Map[bond]                  `yaml:"bonds" example:"{a: {mode: slow}}"`
	Patch  decode.Free                       `yaml:"patch" example:"{a: 1}"`
	Inner  inner                             `yaml:"inner" example:"{size: 1}"`
	None   struct{ decode.At }               `yaml:"none" example:"{}"`
}

type Common struct {
	Title decode.Value[string] `yaml:"title" example:"t"`
}

type item struct {
	decode.At
	Path decode.Value[string] `yaml:"path" required:"true" example:"/etc/motd"`
	Text decode.Value[string] `yaml:"text" example:"x"`
}

type load struct {
	decode.At
	Sum decode.Value[string] `yaml:"sum" required:"true" missing:"write the sum" example:"\"00\""`
}

type bond struct {
	decode.At
	Mode decode.Value[string] `yaml:"mode" required:"true" enum:"slow,fast" example:"slow"`
}

func (i item) MergeKey() string { return i.Path.V }

type inner struct {
	decode.At
	Size decode.Value[int] `yaml:"size" example:"1"`
}

func (inner) Refused() map[string]string {
	return map[string]string{"token": "tokens never stand in a file"}
}

// read decodes text and returns the problems as "line:column path: message; instead".
func read(text string) (file, []string) {
	var f file
	var problems problem.List
	decode.Into(&f, []byte(text), &problems)
	var got []string
	for _, p := range problems.Sorted() {
		line := fmt.Sprintf("%d:%d %s: %s", p.Line, p.Column, p.Path, p.Message)
		if p.Instead != "" {
			line += "; " + p.Instead
		}
		got = append(got, line)
	}
	return f, got
}

const (
	emptyFile = "1:1 : the file is empty; write keys and values"
	notYAML   = "; look at this line and the one before it: indentation, a missing colon, an unclosed quote"
	noTab     = "; indent with spaces: a tab is no indentation in YAML"
	noAlias   = "; write the value out"
	saveAsUTF = "; save the file as UTF-8 text; a binary value belongs into a file of its own"
	lineFeed  = "; end each line with a line feed (LF)"
	noString  = "; write it in quotes"
	digits    = "; write plain decimal digits, without quotes"
	mapping   = "; write keys and values"
	orLeave   = ", or leave the key out"
	size      = "; write for example inner: {size: 1}; here may stand size"
	noNull    = "nothing stands here (null); write a value, or leave the key out"
	nothing   = "nothing stands here (null); write for example "
)

// wrong are files with something wrong, and all that has to be said about each.
var wrong = []struct {
	name, text string
	want       []string
}{
	{"empty", "", []string{emptyFile}},
	{"comment only", "# nothing\n", []string{emptyFile}},
	{"document start only", "---\n", []string{emptyFile}},
	{"null document", "~\n", []string{emptyFile}},
	{"list document", "- a\n", []string{"1:1 : a mapping is meant here, not a list" + mapping}},
	{"scalar document", "hello\n", []string{"1:1 : a mapping is meant here, not a string" + mapping}},
	{"second document", "name: a\n---\nname: b\n", []string{"2:1 : a second document starts here; keep one document a file"}},
	{"second empty document", "name: a\n---\n", []string{"2:1 : a second document starts here; keep one document a file"}},
	{"error in a second document", "name: a\n---\n'\n", []string{"3:1 : this is not YAML: found unexpected end of stream" + notYAML}},

	{"NUL", "name: a\nport: \x00\n", []string{"2:7 : the control character U+0000 stands in the text" + saveAsUTF}},
	{"escape character", "name: \x1b[0m\n", []string{"1:7 : the control character U+001B stands in the text" + saveAsUTF}},
	{"C1 control", "name: 主\u0090\n", []string{"1:8 : the control character U+0090 stands in the text" + saveAsUTF}},
	{"invalid UTF-8", "name: 主\xff\n", []string{"1:8 : the byte 0xff is not UTF-8" + saveAsUTF}},
	{"UTF-16", "\xff\xfen\x00", []string{"1:1 : the byte 0xff is not UTF-8" + saveAsUTF}},
	{"next line", "name: a\u0085port: 1\n", []string{"1:8 : the line break U+0085 stands in the text" + lineFeed}},
	{"line separator", "name: a\u2028\n", []string{"1:8 : the line break U+2028 stands in the text" + lineFeed}},
	{"lone carriage return", "name: a\rport: 1\n", []string{"1:8 : the line break U+000D stands in the text" + lineFeed}},
	{"line break behind a byte order mark", "\ufeffname: a\rport: 1\r", []string{"1:8 : the line break U+000D stands in the text" + lineFeed}},
	{"control character behind a byte order mark", "\ufeffname: \x00\n", []string{"1:7 : the control character U+0000 stands in the text" + saveAsUTF}},
	{"no YAML behind a byte order mark", "\ufeffname: a: b\n", []string{"1:1 : this is not YAML: mapping values are not allowed in this context" + notYAML}},
	{"no character", "name: \ufffe\n", []string{"1:7 : U+FFFE, which is no character, stands in the text" + saveAsUTF}},

	{"unclosed bracket", "name: a\nwords: [a,\n", []string{"2:1 : this is not YAML: did not find expected node content" + notYAML}},
	{"unclosed quote", "name: a\ntitle: 'x\nport: 1\n", []string{"2:1 : this is not YAML: found unexpected end of stream" + notYAML}},
	{"two colons", "name: a: b\n", []string{"1:1 : this is not YAML: mapping values are not allowed in this context" + notYAML}},
	{"tab as indentation", "name: a\ninner:\n\tsize: 1\n", []string{"3:2 : this is not YAML: found character that cannot start any token" + noTab}},
	{"tab behind a dash", "name: a\nwords:\n  -\t\tb: c\n", []string{"3:3 : this is not YAML: found character that cannot start any token" + noTab}},
	{"wrong indentation", "name: a\ninner:\n    size: 1\n  port: 1\n", []string{"4:3 : this is not YAML: did not find expected key" + notYAML}},
	{"wrong indentation far down", "name: a\nlabels:\n    a: b\n    c: d\n    e: f\n   g: h\nport: 1\n", []string{"6:4 : this is not YAML: did not find expected key" + notYAML}},
	{"missing colon", "name: a\nport 6443\nmode: ipvs\n", []string{"2:1 : this is not YAML: could not find expected ':'" + notYAML}},
	{"reserved character", "name: @x\n", []string{"1:1 : this is not YAML: found character that cannot start any token" + notYAML}},
	{"unknown anchor", "name: *x\n", []string{"1:1 : this is not YAML: unknown anchor 'x' referenced" + notYAML}},
	{"directive of another YAML", "%YAML 1.2\n---\nname: a\n", []string{"1:1 : this is not YAML: found incompatible YAML document" + notYAML}},

	{"anchor", "name: &n a\n", []string{"1:7 name: anchors (&n) are not read; write the value without &n"}},
	{"anchor on a mapping", "name: a\ninner: &i\n  size: 1\n", []string{"2:8 inner: anchors (&i) are not read; write the value without &i"}},
	{"anchor on a key", "&n name: a\n", []string{"1:1 name: anchors (&n) are not read; write the value without &n"}},
	{"alias", "name: &n a\ntitle: *n\n", []string{
		"1:7 name: anchors (&n) are not read; write the value without &n",
		"2:8 title: aliases (*n) are not read" + noAlias,
	}},
	{"alias of a required value", "title: &n a\nname: *n\n", []string{
		"1:8 title: anchors (&n) are not read; write the value without &n",
		"2:7 name: aliases (*n) are not read" + noAlias,
	}},
	{"alias in a list", "name: a\nwords: [&w a, *w]\n", []string{
		"2:9 words[0]: anchors (&w) are not read; write the value without &w",
		"2:15 words[1]: aliases (*w) are not read" + noAlias,
	}},
	{"alias in a free part", "name: &n a\npatch: {a: [*n]}\n", []string{
		"1:7 name: anchors (&n) are not read; write the value without &n",
		"2:13 patch.a[0]: aliases (*n) are not read" + noAlias,
	}},
	{"alias as key", "name: &n a\nlabels: {*n : b}\n", []string{
		"1:7 name: anchors (&n) are not read; write the value without &n",
		"2:10 labels: aliases (*n) are not read" + noAlias,
	}},
	{"merge key", "name: a\ninner: {<<: {size: 1}}\n", []string{`2:9 inner["<<"]: merge keys are not read; write the keys out`}},
	{"merge key of an alias", "name: a\nlinks: {a: &a {path: /a}, b: {<<: *a, path: /b}}\n", []string{
		"2:12 links.a: anchors (&a) are not read; write the value without &a",
		`2:31 links.b["<<"]: merge keys are not read; write the keys out`,
	}},
	{"merge key in a free part", "name: a\npatch: {a: {<<: {b: 1}}}\n", []string{`2:13 patch.a["<<"]: merge keys are not read; write the keys out`}},
	{"tag", "name: !!str a\n", []string{"1:7 name: the tag !!str is not read; write the value without the tag"}},
	{"tag of one's own", "name: a\nport: !port 80\n", []string{"2:7 port: the tag !port is not read; write the value without the tag"}},
	{"tag on a mapping", "name: a\ninner: !x {size: 1}\n", []string{"2:8 inner: the tag !x is not read; write the value without the tag"}},
	{"tag on a key", "!!str name: a\n", []string{"1:1 name: the tag !!str is not read; write the value without the tag"}},
	{"tag in a free part", "name: a\npatch: {a: !!binary aGk=}\n", []string{"2:12 patch.a: the tag !!binary is not read; write the value without the tag"}},

	{"repeated key", "name: a\nport: 1\nname: b\n", []string{"3:1 name: the key stands on line 1 already; keep one of the two"}},
	{"repeated key of a map", "name: a\nlabels:\n  x/y: a\n  x/y: b\n", []string{`4:3 labels["x/y"]: the key stands on line 3 already; keep one of the two`}},
	{"repeated key of a free part", "name: a\npatch: {a: 1, a: 2}\n", []string{"2:15 patch.a: the key stands on line 2 already; keep one of the two"}},
	{"number as key", "name: a\nlabels: {1: a}\n", []string{"2:10 labels: a key has to be a string, not a number; write the key in quotes"}},
	{"null as key", "name: a\nlabels: {~: a}\n", []string{"2:10 labels: a key has to be a string, not nothing (null); write the key in quotes"}},
	{"list as key", "name: a\nlabels: {[x]: a}\n", []string{"2:10 labels: a key has to be a string, not a list; write the key in quotes"}},

	{"missing key", "title: a\n", []string{"1:1 name: is missing; write for example name: k8s"}},
	{"missing key of an item", "name: a\nitems:\n  - text: x\n", []string{"3:5 items[0].path: is missing; write for example path: /etc/motd"}},
	{"missing key with a choice", "name: a\nbonds: {b: {}}\n", []string{"2:12 bonds.b.mode: is missing; write for example mode: slow; it may be slow, fast"}},
	{"missing key without an example", "name: a\nloads: {l: {}}\n", []string{"2:12 loads.l.sum: is missing; write the sum"}},
	{"missing key of a map's value", "name: a\nlinks: {l: {}}\n", []string{"2:12 links.l.path: is missing; write for example path: /etc/motd"}},
	{"unknown key with a near one", "name: a\nprot: 1\n", []string{"2:1 prot: unknown key; did you mean port?"}},
	{"misspelt required key", "nam: a\n", []string{"1:1 nam: unknown key; did you mean name?"}},
	{"misspelt required key of an item", "name: a\nitems: [{pth: /a}]\n", []string{"2:10 items[0].pth: unknown key; did you mean path?"}},
	{"required key and a misspelt one", "nam: b\nname: 1\n", []string{
		"1:1 nam: unknown key; did you mean name?",
		`2:7 name: a string is meant here, not a number; write "1", in quotes`,
	}},
	{"unknown key in another case", "name: a\nLabels: {}\n", []string{"2:1 Labels: unknown key; did you mean labels?"}},
	{"unknown key with none near", "name: a\ninner: {quite-different: 1}\n", []string{"2:9 inner.quite-different: unknown key; here may stand size"}},
	{"unknown key of inline", "name: a\ntitel: b\n", []string{"2:1 titel: unknown key; did you mean title?"}},
	{"unknown key that is no word", "name: a\n\"a b\\n\": 1\n", []string{`2:1 ["a b\n"]: unknown key; here may stand bonds, check, hash, inner, items, labels, links, loads, mode, name, none, patch, port, rest, title, words`}},
	{"key of a block without keys", "name: a\nnone: {a: b}\n", []string{"2:8 none.a: unknown key; leave it out and write none: {}"}},
	{"refused key", "name: a\ninner: {token: abcdef.0123456789abcdef}\n", []string{"2:9 inner.token: there is no token here; tokens never stand in a file"}},
	{"value outside an enumeration, near", "name: a\nmode: ipsv\n", []string{`2:7 mode: "ipsv" is not known here; did you mean ipvs? It may be ipvs, iptables, nftables`}},
	{"value outside an enumeration", "name: a\nmode: userspace\n", []string{`2:7 mode: "userspace" is not known here; write one of ipvs, iptables, nftables`}},
	{"enumeration in another case", "name: a\nmode: IPVS\n", []string{`2:7 mode: "IPVS" is not known here; did you mean ipvs? It may be ipvs, iptables, nftables`}},

	{"boolean word for an enumeration", "name: a\nmode: on\n", []string{`2:7 mode: "on" is not known here; write one of ipvs, iptables, nftables`}},
	{"number for an enumeration", "name: a\nmode: 1\n", []string{`2:7 mode: "1" is not known here; write one of ipvs, iptables, nftables`}},
	{"null for an enumeration", "name: a\nmode:\n", []string{"2:6 mode: " + nothing + "mode: ipvs" + orLeave}},
	{"list for an enumeration", "name: a\nmode: [ipvs]\n", []string{"2:7 mode: a string is meant here, not a list; write for example mode: ipvs"}},
	{"tag for an enumeration", "name: a\nmode: !x ipvs\n", []string{"2:7 mode: the tag !x is not read; write the value without the tag"}},

	{"null string", "name:\n", []string{"1:6 name: " + nothing + "name: k8s"}},
	{"tilde string", "name: ~\n", []string{"1:7 name: " + nothing + "name: k8s"}},
	{"null number", "name: a\nport: null\n", []string{"2:7 port: " + nothing + "port: 6443" + orLeave}},
	{"null list", "name: a\nwords:\nport: 1\n", []string{"2:7 words: a list is meant here, not nothing (null); write for example words: [a]" + orLeave}},
	{"null item", "name: a\nwords:\n  -\n  - b\n", []string{"3:4 words[0]: " + noNull}},
	{"null mapping", "name: a\ninner:\n", []string{"2:7 inner: a mapping is meant here, not nothing (null); write for example inner: {size: 1}" + orLeave}},
	{"null map", "name: a\nlabels: ~\n", []string{"2:9 labels: a mapping is meant here, not nothing (null); write for example labels: {a: b}" + orLeave}},

	{"number for a string", "name: 1\n", []string{`1:7 name: a string is meant here, not a number; write "1", in quotes`}},
	{"version for a string", "name: 1.10\n", []string{`1:7 name: a string is meant here, not a number; write "1.10", in quotes`}},
	{"octal for a string", "name: 0644\n", []string{`1:7 name: a string is meant here, not a number; write "0644", in quotes`}},
	{"no octal for a string", "name: 0888\n", []string{`1:7 name: a string is meant here, not a number; write "0888", in quotes`}},
	{"hexadecimal for a string", "name: 0x1f\n", []string{`1:7 name: a string is meant here, not a number; write "0x1f", in quotes`}},
	{"underscores for a string", "name: 1_000\n", []string{`1:7 name: a string is meant here, not a number; write "1_000", in quotes`}},
	{"exponent for a string", "name: 1e3\n", []string{`1:7 name: a string is meant here, not a number; write "1e3", in quotes`}},
	{"infinity for a string", "name: .inf\n", []string{`1:7 name: a string is meant here, not a number; write ".inf", in quotes`}},
	{"boolean for a string", "name: true\n", []string{`1:7 name: a string is meant here, not a boolean; write "true", in quotes`}},
	{"date for a string", "name: 2027-12-31\n", []string{`1:7 name: a string is meant here, not a date; write "2027-12-31", in quotes`}},
	{"on for a string", "name: on\n", []string{`1:7 name: a string is meant here, not a word that YAML readers take for a boolean; write "on", in quotes`}},
	{"No for a string", "name: No\n", []string{`1:7 name: a string is meant here, not a word that YAML readers take for a boolean; write "No", in quotes`}},
	{"y for a string", "name: a\nlabels: {a: y}\n", []string{`2:13 labels.a: a string is meant here, not a word that YAML readers take for a boolean; write "y", in quotes`}},
	{"list for a string", "name: [a]\n", []string{"1:7 name: a string is meant here, not a list; write for example name: k8s"}},
	{"mapping for a string", "name: {a: b}\n", []string{"1:7 name: a string is meant here, not a mapping; write for example name: k8s"}},
	{"number for a secret", "name: a\nhash: 123456\n", []string{"2:7 hash: a string is meant here, not a number" + noString}},

	{"string for a number", "name: a\nport: \"80\"\n", []string{`2:7 port: a whole number is meant here, not "80"` + digits}},
	{"word for a number", "name: a\nport: http\n", []string{`2:7 port: a whole number is meant here, not "http"` + digits}},
	{"octal for a number", "name: a\nport: 0644\n", []string{`2:7 port: a whole number is meant here, not "0644"` + digits}},
	{"hexadecimal for a number", "name: a\nport: 0x50\n", []string{`2:7 port: a whole number is meant here, not "0x50"` + digits}},
	{"underscore in a number", "name: a\nport: 6_443\n", []string{`2:7 port: a whole number is meant here, not "6_443"` + digits}},
	{"plus before a number", "name: a\nport: +80\n", []string{`2:7 port: a whole number is meant here, not "+80"` + digits}},
	{"fraction for a number", "name: a\nport: 80.0\n", []string{`2:7 port: a whole number is meant here, not "80.0"` + digits}},
	{"huge number", "name: a\nport: 99999999999999999999\n", []string{"2:7 port: 99999999999999999999 is too large; write a number of at most 18 digits"}},
	{"list for a number", "name: a\nport: [80]\n", []string{"2:7 port: a number is meant here, not a list; write for example port: 6443"}},

	{"yes for a boolean", "name: a\ncheck: yes\n", []string{`2:8 check: a boolean is meant here, not "yes"; write true or false`}},
	{"True for a boolean", "name: a\ncheck: True\n", []string{`2:8 check: a boolean is meant here, not "True"; write true or false`}},
	{"string for a boolean", "name: a\ncheck: \"true\"\n", []string{`2:8 check: a boolean is meant here, not "true"; write true or false`}},
	{"number for a boolean", "name: a\ncheck: 1\n", []string{`2:8 check: a boolean is meant here, not "1"; write true or false`}},
	{"mapping for a boolean", "name: a\ncheck: {}\n", []string{"2:8 check: true or false is meant here, not a mapping; write for example check: true"}},

	{"string for a list", "name: a\nwords: b\n", []string{"2:8 words: a list is meant here, not a string; write for example words: [a]"}},
	{"mapping for a list", "name: a\nitems: {path: /a}\n", []string{"2:8 items: a list is meant here, not a mapping; write for example items: [{path: /a}]"}},
	{"number in a list", "name: a\nwords: [b, 1]\n", []string{`2:12 words[1]: a string is meant here, not a number; write "1", in quotes`}},
	{"string for an item", "name: a\nitems: [x]\n", []string{"2:9 items[0]: a mapping is meant here, not a string; write for example items: [{path: /a}]; here may stand path, text"}},
	{"name of a key for a structure", "name: a\ninner: size\n", []string{"2:8 inner: a mapping is meant here, not a string; write inner: {size: 1}"}},
	{"name of a key for an item", "name: a\nitems: [path]\n", []string{"2:9 items[0]: a mapping is meant here, not a string; write for example items: [{path: /a}]; here may stand path, text"}},
	{"example of a field around an item", "name: a\nitems: [{path: /a}, x]\n", []string{"2:21 items[1]: a mapping is meant here, not a string; write for example items: [{path: /a}]; here may stand path, text"}},
	{"boolean for a block without keys", "name: a\nnone: true\n", []string{"2:7 none: a mapping is meant here, not a boolean; write none: {}"}},
	{"false for a block without keys", "name: a\nnone: false\n", []string{"2:7 none: a mapping is meant here, not a boolean; leave the key out"}},
	{"null for a block without keys", "name: a\nnone:\n", []string{"2:6 none: a mapping is meant here, not nothing (null); write none: {}"}},
	{"null for a list that may be empty", "name: a\nrest: ~\n", []string{"2:7 rest: a list is meant here, not nothing (null); write for example rest: [b], or rest: [] for none"}},
	{"null for a secret", "name: a\nhash: ~\n", []string{"2:7 hash: " + noNull}},
	{"list for a map", "name: a\nlabels: [a]\n", []string{"2:9 labels: a mapping is meant here, not a list; write for example labels: {a: b}"}},
	{"list for a structure", "name: a\ninner: [1]\n", []string{"2:8 inner: a mapping is meant here, not a list" + size}},
	{"string for a structure", "name: a\ninner: 主机\n", []string{"2:8 inner: a mapping is meant here, not a string" + size}},

	{"no octal in a free part", "name: a\npatch: {m: 0888}\n", []string{`2:12 patch.m: 0888 would not come out as it stands here; write "0888" in quotes for a string, or a plain decimal number`}},
	{"octal in a free part", "name: a\npatch: {m: 0644}\n", []string{`2:12 patch.m: a whole number is meant here, not "0644"` + digits}},
	{"version in a free part", "name: a\npatch: {m: [1.10]}\n", []string{`2:13 patch.m[0]: 1.10 would not come out as it stands here; write "1.10" in quotes for a string, or a plain decimal number`}},
	{"infinity in a free part", "name: a\npatch: {m: .inf}\n", []string{`2:12 patch.m: .inf would not come out as it stands here; write ".inf" in quotes for a string, or a plain decimal number`}},
	{"huge number in a free part", "name: a\npatch: {m: 18446744073709551615}\n", []string{"2:12 patch.m: 18446744073709551615 is too large; write a number of at most 18 digits"}},
	{"off in a free part", "name: a\npatch: {m: off}\n", []string{`2:12 patch.m: a string is meant here, not a word that YAML readers take for a boolean; write "off", in quotes`}},
	{"TRUE in a free part", "name: a\npatch: {m: TRUE}\n", []string{`2:12 patch.m: a boolean is meant here, not "TRUE"; write true or false`}},
	{"date in a free part", "name: a\npatch: {m: 2027-12-31}\n", []string{`2:12 patch.m: a string is meant here, not a date; write "2027-12-31", in quotes`}},
	{"number as key of a free part", "name: a\npatch: {1: 2}\n", []string{"2:9 patch: a key has to be a string, not a number; write the key in quotes"}},

	{"several at once", "prot: 1\nmode: ipsv\nitems: [{}, {path: 5, x: 1}]\n", []string{
		"1:1 name: is missing; write for example name: k8s",
		"1:1 prot: unknown key; did you mean port?",
		`2:7 mode: "ipsv" is not known here; did you mean ipvs? It may be ipvs, iptables, nftables`,
		"3:9 items[0].path: is missing; write for example path: /etc/motd",
		`3:20 items[1].path: a string is meant here, not a number; write "5", in quotes`,
		"3:23 items[1].x: unknown key; here may stand path, text",
	}},
}

func TestWrongFiles(t *testing.T) {
	for _, c := range wrong {
		t.Run(c.name, func(t *testing.T) {
			if _, got := read(c.text); !reflect.DeepEqual(got, c.want) {
				t.Errorf("%q\n%s", c.text, cmp.Diff(c.want, got))
			}
		})
	}
}

// advised is a file whose type advises on its own.
type advised struct{ file }

func (advised) Advice() decode.Advice { return decode.Advice{Empty: "begin", Second: "split"} }

// TestAdvice: the advice of a type takes the place of the general text, and only of that.
func TestAdvice(t *testing.T) {
	for text, want := range map[string]string{
		"":                        "begin",
		"name: a\n---\nname: b\n": "split",
		"name: &a b\ntitle: *a\n": "write the value out",
	} {
		var problems problem.List
		decode.Into(&advised{}, []byte(text), &problems)
		found := problems.Sorted()
		if len(found) == 0 || found[len(found)-1].Instead != want {
			t.Errorf("%q: problems are %v, want the advice %q", text, found, want)
		}
	}
}

func TestTooLargeFile(t *testing.T) {
	_, got := read("name: " + strings.Repeat("a", decode.MaxSize))
	want := []string{fmt.Sprintf("1:1 : the file holds %d bytes, more than %d; split it into several files", decode.MaxSize+6, decode.MaxSize)}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestSyntaxErrorOfALargeFile bounds the work of finding a syntax error's line.
func TestSyntaxErrorOfALargeFile(t *testing.T) {
	text := "name: a\nlabels:\n" + strings.Repeat("  a: b\n", 1<<15) + " c: d\n"
	if _, got := read(text); len(got) != 1 || !strings.Contains(got[0], "did not find expected key") {
		t.Errorf("got %q", got)
	}
}

const whole = `# a comment
title: "0888"
name: 主机
mode: nftables
hash: $6$salt$hash
port: -1
check: false
words: [a, "on", '1.10', ""]
items:
  - path: /a
    text: |
      two
      lines
  - {path: /b}
labels: {a/b: c, y: "y"}
links:
  l1: {path: /l}
patch: {s: text, i: 1, f: 1.5, b: true, n: null, l: [1, {k: v}], e: {}}
inner:
  size: 3
`

// TestRightFile reads every kind of value, with its place, from a file with and without a byte order mark and with both
// kinds of line ends.
func TestRightFile(t *testing.T) {
	for name, text := range map[string]string{"plain": whole, "byte order mark": "\ufeff" + whole, "CRLF": strings.ReplaceAll(whole, "\n", "\r\n")} {
		t.Run(name, func(t *testing.T) {
			f, problems := read(text)
			if len(problems) > 0 {
				t.Fatalf("problems: %q", problems)
			}
			checkValues(t, f)
			checkPlaces(t, f)
		})
	}
}

func checkValues(t *testing.T, f file) {
	t.Helper()
	free := map[string]any{"s": "text", "i": int64(1), "f": 1.5, "b": true, "n": nil, "l": []any{int64(1), map[string]any{"k": "v"}}, "e": map[string]any{}}
	label, _ := f.Labels.Get("a/b")
	link, _ := f.Links.Get("l1")
	got := []any{f.Title.V, f.Name.V, f.Mode.V, f.Hash.V.Reveal(), f.Port.V, f.Check.V, f.Check.Set, len(f.Words.Items), f.Words.Items[1].V, f.Words.Items[2].V,
		f.Items.Items[0].Text.V, f.Items.Items[1].Path.V, f.Items.Items[1].Text.Set, label.V, link.Path.V, f.Patch.V, f.Inner.Size.V}
	want := []any{"0888", "主机", "nftables", "$6$salt$hash", -1, false, true, 4, "on", "1.10", "two\nlines\n", "/b", false, "c", "/l", free, 3}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
	if _, ok := f.Labels.Get("no"); ok {
		t.Error("a map has a key that nobody wrote")
	}
}

func checkPlaces(t *testing.T, f file) {
	t.Helper()
	got := []decode.At{f.At, f.Name.At, f.Words.At, f.Words.Items[3].At, f.Items.Items[0].At, f.Items.Items[0].Text.At, f.Items.Items[1].Path.At,
		f.Labels.Entries[0].At, f.Labels.Entries[0].Value.At, f.Links.Entries[0].Value.Path.At, f.Patch.At, f.Inner.At}
	want := []decode.At{{Path: "", Line: 2, Column: 1}, {Path: "name", Line: 3, Column: 7}, {Path: "words", Line: 8, Column: 8}, {Path: "words[3]", Line: 8, Column: 26},
		{Path: "items[0]", Line: 10, Column: 5}, {Path: "items[0].text", Line: 11, Column: 11}, {Path: "items[1].path", Line: 14, Column: 12},
		{Path: `labels["a/b"]`, Line: 15, Column: 10}, {Path: `labels["a/b"]`, Line: 15, Column: 15}, {Path: "links.l1.path", Line: 17, Column: 14},
		{Path: "patch", Line: 18, Column: 8}, {Path: "inner", Line: 20, Column: 3}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("places (-want +got):\n%s", diff)
	}
}

// TestMisspeltKeyIsKnown gives a field the place of the key that probably means it, so that no rule calls it missing; a
// key that is right keeps its own.
func TestMisspeltKeyIsKnown(t *testing.T) {
	f, _ := read("nam: a\nword: [b]\nhsh: c\nlabel: {a: b}\npach: {}\niner: {size: 1}\nport: 1\nprot: 2\n")
	got := []decode.At{f.Name.At, f.Words.At, f.Hash.At, f.Labels.At, f.Patch.At, f.Inner.At, f.Port.At}
	want := []decode.At{{Path: "nam", Line: 1, Column: 1}, {Path: "word", Line: 2, Column: 1}, {Path: "hsh", Line: 3, Column: 1}, {Path: "label", Line: 4, Column: 1},
		{Path: "pach", Line: 5, Column: 1}, {Path: "iner", Line: 6, Column: 1}, {Path: "port", Line: 7, Column: 7}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("places (-want +got):\n%s", diff)
	}
	if f.Name.Set || f.Words.Set || f.Inner.Size.Set || f.Port.V != 1 {
		t.Errorf("a misspelt key was read: %+v", f)
	}
}

// TestRightValuesBesideWrongOnes keeps what could be read, so that rules of meaning run in the same turn; of a number in
// the place of a string that is its text.
// TestPlacesInAFreePart: a key that is there has its own place, one that is not that of the nearest key around it.
func TestPlacesInAFreePart(t *testing.T) {
	f, _ := read("name: a\npatch:\n  x.y: {a: 1}\n  l: [{b: 2}]\n")
	for _, c := range []struct {
		keys []string
		want decode.At
	}{
		{nil, decode.At{Path: "patch", Line: 3, Column: 3}},
		{[]string{"x.y"}, decode.At{Path: `patch["x.y"]`, Line: 3, Column: 3}},
		{[]string{"x.y", "a"}, decode.At{Path: `patch["x.y"].a`, Line: 3, Column: 9}},
		{[]string{"x.y", "b"}, decode.At{Path: `patch["x.y"].b`, Line: 3, Column: 3}},
		{[]string{"l"}, decode.At{Path: "patch.l", Line: 4, Column: 3}},
	} {
		if got := f.Patch.Place(c.keys...); got != c.want {
			t.Errorf("%q is at %v, want %v", c.keys, got, c.want)
		}
	}
	if got := (decode.Free{}).Place("a"); got != (decode.At{Path: "a"}) {
		t.Errorf("a key of a part that no file holds is at %v", got)
	}
}

func TestRightValuesBesideWrongOnes(t *testing.T) {
	f, problems := read("name: a\nport: x\nwords: [b, 1, c]\nlabels: {x: 1, y/z: d}\n")
	if len(problems) != 3 {
		t.Fatalf("problems: %q", problems)
	}
	if f.Name.V != "a" || f.Port.Set || !f.Port.Known() || len(f.Words.Items) != 3 || f.Words.Items[1].V != "1" || f.Words.Items[2].V != "c" || len(f.Labels.Entries) != 2 {
		t.Errorf("what was right is lost: %+v", f)
	}
}

func TestDefault(t *testing.T) {
	f, _ := read("name: a\n")
	f.Name.Default("b")
	f.Port.Default(80)
	if f.Name.V != "a" || f.Port.V != 80 || !f.Port.Set || f.Port.Known() {
		t.Errorf("defaults: name %q, port %+v", f.Name.V, f.Port)
	}
}

// TestSecretNeverPrints tries every way by which a hash might reach a log.
func TestSecretNeverPrints(t *testing.T) {
	f, _ := read("name: a\nhash: $6$verysecret$x\n")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T %[1]v", "%t"} {
		for _, what := range []any{f, f.Hash, f.Hash.V, &f, []any{f.Hash.V}} {
			if text := fmt.Sprintf(verb, what); strings.Contains(text, "verysecret") || strings.Contains(text, "7665727973656372") {
				t.Errorf("%s of %T prints the secret", verb, what)
			}
		}
	}
	asJSON, err := json.Marshal(f.Hash)
	if err != nil || strings.Contains(string(asJSON), "verysecret") {
		t.Errorf("json: %s, %v", asJSON, err)
	}
	asYAML, err := yaml.Marshal(map[string]any{"hash": f.Hash.V})
	if err != nil || strings.Contains(string(asYAML), "verysecret") {
		t.Errorf("yaml: %s, %v", asYAML, err)
	}
	if f.Hash.V.Reveal() != "$6$verysecret$x" {
		t.Error("the secret itself is lost")
	}
}

// FuzzInto looks for a panic, for a problem without a place, and for a value that is marked as read and is not in the
// text.
func FuzzInto(f *testing.F) {
	for _, c := range wrong {
		f.Add([]byte(c.text))
	}
	f.Add([]byte(whole))
	f.Fuzz(func(t *testing.T, data []byte) {
		var target file
		var problems problem.List
		decode.Into(&target, data, &problems)
		lines := strings.Split(string(data), "\n")
		for _, p := range problems.Sorted() {
			if p.Line < 1 || p.Line > len(lines) || p.Column < 1 || p.Message == "" {
				t.Errorf("a problem without a place: %+v", p)
			}
		}
		if !problems.Failed() && (!target.Name.Set || !target.Known()) {
			t.Errorf("no problems, and the required name is not set")
		}
	})
}
