package explain

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"muster/internal/decode"
)

// leaf is one value of a spec or profile that can be changed by itself.
type leaf struct {
	at decode.At
	// value is the value as text; empty for a list or mapping as such.
	value string
	// changes put another value in its place, in the struct that the leaf was found in. Several are tried, because one
	// (another patch release, say) may leave the plan as it was.
	changes []change
	// whole is true for a list, a mapping or a block, which are left out instead of changed.
	whole bool
	// choice is true for one of few values that decide what a plan does, as a rule: a bool, or a word out of a list.
	choice bool
}

// change changes a value and returns what takes that back. Changes are taken back in the opposite order.
type change func() (undo func())

// put changes what is at a place.
func put[T any](place *T, other T) change {
	return func() func() {
		old := *place
		*place = other
		return func() { *place = old }
	}
}

// leavesOf lists the values of a struct that is made of decode's values, in its order: equal structs give equal lists.
// source is the file that it was read from.
func leavesOf(target any, source []byte) []leaf {
	w := &walker{source: string(source), lines: strings.Split(string(source), "\n"), taken: map[string]bool{}}
	w.walk(reflect.ValueOf(target).Elem(), "")
	return w.leaves
}

type walker struct {
	source string
	lines  []string
	// taken are the values that others were changed to.
	taken  map[string]bool
	leaves []leaf
}

func (w *walker) add(at decode.At, value string, changes ...change) {
	w.leaves = append(w.leaves, leaf{at: at, value: value, changes: changes})
}

func (w *walker) addChoice(at decode.At, value string, changes ...change) {
	w.leaves = append(w.leaves, leaf{at: at, value: value, changes: changes, choice: true})
}

// addWhole adds a list, a mapping or a block that can be left out.
func (w *walker) addWhole(at decode.At, leaveOut change) {
	w.leaves = append(w.leaves, leaf{at: at, changes: []change{leaveOut}, whole: true})
}

// zero leaves out a part.
func zero(v reflect.Value) change {
	return func() func() {
		old := reflect.New(v.Type()).Elem()
		old.Set(v)
		v.SetZero()
		return func() { v.Set(old) }
	}
}

// walk goes through a part; tag is that of the field that holds it.
func (w *walker) walk(v reflect.Value, tag reflect.StructTag) {
	switch x := v.Addr().Interface().(type) {
	case *decode.Value[string]:
		w.text(x, tag)
	case *decode.Value[decode.Secret]:
		if x.Set {
			w.add(x.At, x.V.String(), put(&x.V, decode.NewSecret(x.V.Reveal()+"x")))
		}
	case *decode.Value[int]:
		if x.Set {
			other, _ := strconv.Atoi(w.unused(func(i int) string { return strconv.Itoa(x.V + i) })) // digits
			w.add(x.At, strconv.Itoa(x.V), put(&x.V, other))
		}
	case *decode.Value[bool]:
		if x.Set {
			w.addChoice(x.At, strconv.FormatBool(x.V), put(&x.V, !x.V))
		}
	case *decode.Free:
		w.free(x)
	default:
		w.compound(v, tag)
	}
}

// compound goes through lists, mappings and structs. A list or mapping is a leaf too, since it can be left out as a whole.
func (w *walker) compound(v reflect.Value, tag reflect.StructTag) {
	switch kind, _, _ := strings.Cut(v.Type().Name(), "["); {
	case v.Type().PkgPath() == decodePackage && kind == "List":
		w.whole(v)
		items := v.FieldByName("Items")
		for i := range items.Len() {
			w.walk(items.Index(i), tag)
		}
	case v.Type().PkgPath() == decodePackage && kind == "Map":
		w.whole(v)
		entries := v.FieldByName("Entries")
		for i := range entries.Len() {
			w.key(entries.Index(i))
			w.walk(entries.Index(i).FieldByName("Value"), tag)
		}
	default:
		w.structure(v)
	}
}

var decodePackage = reflect.TypeFor[decode.Free]().PkgPath()

// whole makes a leaf of a list or mapping.
func (w *walker) whole(v reflect.Value) {
	if v.FieldByName("Set").Bool() {
		w.addWhole(v.FieldByName("At").Interface().(decode.At), zero(v))
	}
}

// key makes a leaf of the key of a mapping. Its path says what it is.
func (w *walker) key(entry reflect.Value) {
	key := entry.FieldByName("Key")
	other := w.unused(func(i int) string { return key.String() + "x" + strconv.Itoa(i) })
	w.add(entry.FieldByName("At").Interface().(decode.At), "", put(key.Addr().Interface().(*string), other))
}

func (w *walker) structure(v reflect.Value) {
	if at, ok := v.Field(0).Interface().(decode.At); ok && v.NumField() == 1 {
		if at.Known() {
			w.addWhole(at, zero(v)) // a block whose presence says it all
		}
		return
	}
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.Type.Kind() == reflect.Struct && f.Type != reflect.TypeFor[decode.At]() {
			w.walk(v.Field(i), f.Tag)
		}
	}
}

// text makes leaves of a string: one for each line of several.
func (w *walker) text(v *decode.Value[string], tag reflect.StructTag) {
	switch enum := tag.Get("enum"); {
	case !v.Set || tag.Get("yaml") == "profile":
		// A profile's own values are changed instead of its name.
	case enum != "":
		var changes []change
		for other := range strings.SplitSeq(enum, ",") {
			if other != v.V {
				changes = append(changes, put(&v.V, other))
			}
		}
		w.addChoice(v.At, v.V, changes...)
	case strings.Contains(strings.TrimSuffix(v.V, "\n"), "\n"):
		w.textLines(v)
	default:
		var changes []change
		for _, other := range w.others(v.V) {
			changes = append(changes, put(&v.V, other))
		}
		w.add(v.At, strings.TrimSuffix(v.V, "\n"), changes...)
	}
}

// textLines makes a leaf of each line. Its place is its own line where the file writes the text as a block.
func (w *walker) textLines(v *decode.Value[string]) {
	lines := strings.SplitAfter(v.V, "\n")
	for i, line := range lines {
		text := strings.TrimSuffix(line, "\n")
		if line == "" {
			continue // behind the last line
		}
		at := v.At
		if n := at.Line + i; at.Known() && n < len(w.lines) && strings.TrimSpace(w.lines[n]) == strings.TrimSpace(text) {
			at.Line, at.Column = n+1, 1+strings.Index(w.lines[n], strings.TrimSpace(text))
		}
		w.add(at, text, func() func() {
			changed := strings.SplitAfter(v.V, "\n") // other lines may have been changed by now
			changed[i] = strings.TrimSuffix(changed[i], "\n") + "x" + strings.Repeat("\n", strings.Count(changed[i], "\n"))
			return put(&v.V, strings.Join(changed, ""))()
		})
	}
}

// free makes leaves of the scalars in a part whose shape belongs to somebody else. Their place is where the part begins.
func (w *walker) free(f *decode.Free) {
	if !f.Set {
		return
	}
	w.addWhole(f.At, put(&f.V, any(map[string]any{}))) // as a merge patch it changes nothing, while none at all is a null
	w.freeValue(f.At, f.V, func(other any) { f.V = other })
}

// freeValue adds every leaf of a value whose keys are not the spec's. set puts another value in its place.
func (w *walker) freeValue(at decode.At, value any, set func(any)) {
	become := func(other any) change {
		return func() func() {
			set(other)
			return func() { set(value) }
		}
	}
	below := func(step string) decode.At { return decode.At{Path: at.Path + step, Line: at.Line, Column: at.Column} }
	switch x := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(x)) {
			w.freeValue(below(step(key)), x[key], func(other any) { x[key] = other })
		}
	case []any:
		for i := range x {
			w.freeValue(below(fmt.Sprintf("[%d]", i)), x[i], func(other any) { x[i] = other })
		}
	case string:
		other := w.others(x)[0]
		w.add(at, x, become(other))
	case bool:
		w.add(at, strconv.FormatBool(x), become(!x))
	case int64:
		w.add(at, strconv.FormatInt(x, 10), become(x+1))
	case float64:
		w.add(at, strconv.FormatFloat(x, 'g', -1, 64), become(x+1))
	case nil:
		w.add(at, "null", become("x"))
	}
}

// step writes a key behind a path, as decode does.
func step(key string) string {
	if plainKey.MatchString(key) {
		return "." + key
	}
	return "[" + strconv.Quote(key) + "]"
}

var plainKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
