package problem

import (
	"slices"
	"strings"
	"testing"
	"unicode"
)

func TestListSortsAndDropsRepeats(t *testing.T) {
	l := List{File: "b.yaml"}
	l.Errorf(At{Path: "z", Line: 9, Column: 1}, "", "last line")
	l.Errorf(At{Path: "b", Line: 2, Column: 5}, "", "path b")
	l.Errorf(At{Path: "a", Line: 2, Column: 5}, "", "path a")
	l.Errorf(At{Path: "c", Line: 2, Column: 1}, "", "column 1")
	l.Warnf(At{Path: "a", Line: 2, Column: 5}, "", "warning after error")
	l.Noticef(At{}, "no line")
	l.Errorf(At{Path: "a", Line: 2, Column: 5}, "", "path a")
	l.Add(Problem{File: "a.yaml", At: At{Line: 99}, Message: "other file"})
	var got []string
	for _, p := range l.Sorted() {
		got = append(got, p.Message)
	}
	want := []string{"other file", "no line", "column 1", "path a", "warning after error", "path b", "last line"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if !l.Failed() || l.Count(Error) != 5 || l.Count(Warning) != 1 || l.Count(Notice) != 1 {
		t.Errorf("counts are %d errors, %d warnings, %d notices", l.Count(Error), l.Count(Warning), l.Count(Notice))
	}
}

func TestListFailsByErrorsOnly(t *testing.T) {
	var l List
	l.Warnf(At{}, "", "a warning")
	l.Noticef(At{}, "a notice")
	if l.Failed() {
		t.Error("a list without errors counts as failed")
	}
}

func TestNearest(t *testing.T) {
	names := []string{"kubernetes", "network", "nodes", "pools", "users", "mac", "rr", "KubeletConfiguration"}
	for word, want := range map[string]string{
		"kuberentes": "kubernetes", "kubernets": "kubernetes", "Nodes": "nodes", "nodse": "nodes", "ppols": "pools", "mca": "mac", "r": "rr",
		"quite-other": "", "kuber": "kubernetes", "ne": "", "KubeletConfig": "KubeletConfiguration", "Kubelet": "KubeletConfiguration", "Kub": "", "": "", "xyz": "", "nodes-of-the-cluster": "", strings.Repeat("nodes", 1<<16): "",
	} {
		if got := Nearest(word, names); got != want {
			t.Errorf("Nearest(%.20q) = %q, want %q", word, got, want)
		}
	}
}

func TestNearestTakesTheNearer(t *testing.T) {
	if got := Nearest("adress", []string{"addresses", "address"}); got != "address" {
		t.Errorf("Nearest = %q, want address", got)
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"ab", "ba", 1}, {"kitten", "sitting", 3}, {"主机", "主人", 1}, {"225.225.225.0", "255.255.255.0", 3}} {
		if got := Distance(c.a, c.b); got != c.want {
			t.Errorf("Distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

// TestWideTable holds the table of wide characters against what the standard library knows of scripts, and checks that
// it can be searched.
func TestWideTable(t *testing.T) {
	for i, span := range wide {
		if span[0] > span[1] || i > 0 && wide[i-1][1] >= span[0] {
			t.Fatalf("run %d of the table, %x, is out of order", i, span)
		}
	}
	for r := rune(0x80); r < unicode.MaxRune; r++ {
		narrow := r < 0x2e80 && !unicode.In(r, unicode.Latin, unicode.Greek, unicode.Cyrillic, unicode.Arabic, unicode.Hebrew) || r >= 0xff61 && r <= 0xffdc
		switch {
		case narrow || unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
			continue
		case unicode.In(r, unicode.Han) && r != 0x16ff0 && width(r) != 2:
			t.Fatalf("U+%04X of Han script has width %d", r, width(r))
		case unicode.In(r, unicode.Hiragana, unicode.Katakana, unicode.Bopomofo, unicode.Yi, unicode.Tangut) && width(r) != 2:
			t.Fatalf("U+%04X has width %d", r, width(r))
		case unicode.In(r, unicode.Latin, unicode.Greek, unicode.Cyrillic, unicode.Arabic, unicode.Hebrew) && r < 0xff00 && width(r) != 1:
			t.Fatalf("U+%04X has width %d", r, width(r))
		}
	}
	for r := rune(0xac00); r <= 0xd7a3; r++ {
		if width(r) != 2 {
			t.Fatalf("the Hangul syllable U+%04X has width %d", r, width(r))
		}
	}
}

// TestWeakGivesWay: a weak error goes when another error stands at its path, and only then.
func TestWeakGivesWay(t *testing.T) {
	var l List
	weak := Problem{At: At{Path: "a", Line: 1}, Message: "weak", Weak: true}
	l.Add(weak)
	l.Warnf(At{Path: "a", Line: 1}, "", "warning")
	l.Errorf(At{Path: "b", Line: 1}, "", "elsewhere")
	l.Add(Problem{File: "other", At: weak.At, Message: "another file"})
	if n := len(l.Sorted()); n != 4 {
		t.Errorf("%d problems, want 4: %v", n, l.Sorted())
	}
	l.Errorf(weak.At, "", "strong")
	for _, p := range l.Sorted() {
		if p.Weak {
			t.Errorf("%v did not give way", p)
		}
	}
	if n := l.Count(Error); n != 3 {
		t.Errorf("%d errors, want 3", n)
	}
}
