package iso

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxVolumeID is what Joliet's 32-byte field holds in UCS-2.
	maxVolumeID = 16
	// maxNameLength is Joliet's limit for one name, in characters of UCS-2. In
	// UTF-8 that is at most 192 bytes, so one Rock Ridge NM entry always holds it.
	maxNameLength = 64
	// maxRune is the last character of UCS-2, which has no surrogate pairs.
	maxRune = 0xFFFF
	// maxLevels is ECMA-119 §6.8.2.1: eight levels of folders, the root counted,
	// which is a path of seven folders and a file.
	maxLevels = 8
	// maxFolders is what the 16-bit parent number of a path table can name.
	maxFolders = math.MaxUint16

	// jolietForbidden are the characters that the Joliet specification bans from
	// names besides the control characters; "/" is our separator anyway.
	jolietForbidden = `*:;?\`

	folderMode = fs.ModeDir | 0o755
)

// node is a file or a folder of the image, before any tree encodes it.
type node struct {
	name     string
	mode     fs.FileMode // with fs.ModeDir for a folder
	data     []byte      // of a file
	children map[string]*node
	folders  uint32 // how many of the children are folders
	sector   uint32 // first sector of the data, shared by both trees; 0 if empty
}

// sorted returns the children in the order of their exact names.
func (n *node) sorted() []*node {
	children := make([]*node, 0, len(n.children))
	for _, name := range slices.Sorted(maps.Keys(n.children)) {
		children = append(children, n.children[name])
	}
	return children
}

// allFiles appends the files below n to list, in the order of the data area.
func (n *node) allFiles(list []*node) []*node {
	for _, child := range n.sorted() {
		if child.mode.IsDir() {
			list = child.allFiles(list)
		} else {
			list = append(list, child)
		}
	}
	return list
}

// links returns the number of links that POSIX expects of the node: a folder is
// linked by its parent, itself, and the ".." of each folder in it.
func (n *node) links() uint32 {
	if !n.mode.IsDir() {
		return 1
	}
	return 2 + n.folders
}

// buildTree checks all files and returns the root folder of the tree they make.
func buildTree(files []File) (*node, error) {
	root := newFolder("")
	folders := 1
	var problems []error
	for i, f := range files {
		if f.Name == "" {
			problems = append(problems, fmt.Errorf("files[%d] has no name: give it a path such as \"user-data\"", i))
			continue
		}
		err := checkFile(f)
		if err == nil {
			var made int
			made, err = root.add(f)
			folders += made
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("file %q: %w", f.Name, err))
		}
	}
	if folders > maxFolders {
		problems = append(problems, fmt.Errorf("the files lie in %d folders: an image holds at most %d", folders, maxFolders))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return root, nil
}

func newFolder(name string) *node {
	return &node{name: name, mode: folderMode, children: map[string]*node{}}
}

// add puts f, already checked, below the root n. It returns how many folders
// it had to make.
func (n *node) add(f File) (made int, err error) {
	parts := strings.Split(f.Name, "/")
	last := len(parts) - 1
	for i, part := range parts[:last] {
		child := n.children[part]
		if child == nil {
			child = newFolder(part)
			n.children[part] = child
			n.folders++
			made++
		}
		if !child.mode.IsDir() {
			return made, fmt.Errorf("%q is a file as well: rename one of the two", strings.Join(parts[:i+1], "/"))
		}
		n = child
	}
	switch twin := n.children[parts[last]]; {
	case twin == nil:
		n.children[parts[last]] = &node{name: parts[last], mode: f.Mode, data: f.Data}
		return made, nil
	case twin.mode.IsDir():
		return made, errors.New("other files use this name as their folder: rename one of the two")
	default:
		return made, errors.New("the name is given twice: every file of an image needs its own")
	}
}

// checkVolumeID reports a volume identifier that one of the descriptors would
// change or cut.
func checkVolumeID(id string) error {
	letter := func(r rune) bool {
		return r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("._-", r))
	}
	if id == "" || len(id) > maxVolumeID || strings.ContainsFunc(id, func(r rune) bool { return !letter(r) }) {
		return fmt.Errorf("volume identifier %q: use 1 to %d ASCII letters, digits, \".\", \"-\" or \"_\", such as \"cidata\"", id, maxVolumeID)
	}
	return nil
}

// checkFile reports what keeps a named file from being recorded exactly.
func checkFile(f File) error {
	if strings.HasPrefix(f.Name, "/") {
		return errors.New("the path is absolute: write it relative to the root folder of the image")
	}
	parts := strings.Split(f.Name, "/")
	if len(parts) > maxLevels {
		return fmt.Errorf("the path has %d levels: ISO 9660 allows at most %d, the file counted", len(parts), maxLevels)
	}
	for _, part := range parts {
		if err := checkName(part); err != nil {
			return err
		}
	}
	if f.Mode&^fs.ModePerm != 0 {
		return fmt.Errorf("mode %v: give permission bits only, such as 0o600", f.Mode)
	}
	if uint64(len(f.Data)) > math.MaxUint32 {
		return fmt.Errorf("%d bytes: ISO 9660 holds less than 4 GiB in a file", len(f.Data))
	}
	return nil
}

// checkName reports one name of a path that the Joliet tree could not carry
// exactly, the narrower of the two trees that promise exact names.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("the path has an empty part: remove the extra \"/\"")
	case name == "." || name == "..":
		return fmt.Errorf("the path has the part %q: write it without", name)
	case !utf8.ValidString(name):
		return errors.New("the name is not valid UTF-8: rename the file")
	case strings.ContainsFunc(name, func(r rune) bool { return r > maxRune }):
		return fmt.Errorf("%q has a character beyond U+FFFF, which Joliet cannot hold: rename it", name)
	case strings.ContainsAny(name, jolietForbidden) || strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("%q has a control character or one of %s, which Joliet forbids: rename it", name, jolietForbidden)
	case strings.HasSuffix(name, ".") || strings.HasSuffix(name, " "):
		// Linux drops the dots when it reads Joliet, Windows both.
		return fmt.Errorf("%q ends with a dot or a space, which readers of Joliet drop: rename it", name)
	}
	if length := utf8.RuneCountInString(name); length > maxNameLength {
		return fmt.Errorf("%q has %d characters: Joliet allows at most %d", name, length, maxNameLength)
	}
	return nil
}

// primaryIDs returns the ISO 9660 level 1 identifiers of the children of one
// folder, without a file's version: at most 8 characters, and for files a dot
// and an extension of at most 3 (ECMA-119 §7.5 and §10.1). Where two names come
// to the same, the later one ends in a number.
func primaryIDs(children []*node) [][]byte {
	ids := make([][]byte, len(children))
	used := make(map[string]bool, len(children))
	tries := make(map[string]int) // next number per identifier, so that many alike stay cheap
	for i, child := range children {
		stem, extension := child.name, ""
		if dot := strings.LastIndexByte(stem, '.'); dot >= 0 && !child.mode.IsDir() {
			stem, extension = stem[:dot], stem[dot+1:]
		}
		stem, extension = dCharacters(stem, 8), dCharacters(extension, 3)
		if stem == "" {
			stem = "_" // a dot file: an identifier may not start with the separator
		}
		wanted := stem + "." + extension
		id := wanted
		for used[id] {
			tries[wanted]++
			number := strconv.Itoa(tries[wanted])
			id = stem[:min(len(stem), 8-len(number))] + number + "." + extension
		}
		used[id] = true
		if child.mode.IsDir() {
			id = strings.TrimSuffix(id, ".")
		}
		ids[i] = []byte(id)
	}
	return ids
}

// dCharacters returns the first limit characters of s in the d-characters of
// ECMA-119 §7.4.1: capital letters, digits and "_" for all others.
func dCharacters(s string, limit int) string {
	var b strings.Builder
	for _, r := range s {
		if b.Len() == limit {
			break
		}
		switch {
		case 'a' <= r && r <= 'z':
			b.WriteByte(byte(r) - 'a' + 'A')
		case 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			b.WriteByte(byte(r))
		default:
			b.WriteByte('_')
		}
	}
	return b.String()
}

// jolietIDs returns the Joliet identifiers of the children of one folder, which
// are their names.
func jolietIDs(children []*node) [][]byte {
	ids := make([][]byte, len(children))
	for i, child := range children {
		ids[i] = bigEndianUCS2(child.name)
	}
	return ids
}

// bigEndianUCS2 encodes s, which has no character beyond maxRune, the way
// Joliet stores text.
func bigEndianUCS2(s string) []byte {
	var b []byte
	for _, r := range s {
		b = append(b, byte(r>>8), byte(r))
	}
	return b
}

// asciiText returns s padded with spaces to width bytes.
func asciiText(s string, width int) []byte {
	return append([]byte(s), bytes.Repeat([]byte{' '}, width-len(s))...)
}

// jolietText returns s in UCS-2, padded with spaces of two bytes to width
// bytes; the last byte of an odd width is zero.
func jolietText(s string, width int) []byte {
	b := bigEndianUCS2(s)
	for len(b)+2 <= width {
		b = append(b, 0, ' ')
	}
	return append(b, make([]byte, width-len(b))...)
}
