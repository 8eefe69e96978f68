package iso

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

// isoReader reads an image back by the rules of ECMA-119, SUSP, RRIP and
// Joliet. It shares no code or constant with the writer and fails the test at
// the first byte that breaks one of the rules.
type isoReader struct {
	t     testing.TB
	image []byte
	// spans is what the image uses so far, so that no two parts overlap.
	spans []span
}

type span struct {
	what       string
	start, end int // bytes
}

// readFile is what one tree says of a file or of a folder.
type readFile struct {
	mode  fs.FileMode // of Rock Ridge only
	links uint32
	data  []byte
}

// readTree maps the path of every file and folder to what is recorded; the root is "".
type readTree map[string]readFile

// readISO returns the label and the trees of an image: Rock Ridge, bare ISO
// 9660, and Joliet.
func readISO(t testing.TB, image []byte) (label string, rockRidge, bare, joliet readTree) {
	t.Helper()
	r := &isoReader{t: t, image: image}
	primary, supplementary, end := r.sector(16), r.sector(17), r.sector(18)
	r.require(primary[0] == 1 && supplementary[0] == 2 && end[0] == 255, "descriptor types")
	for _, d := range [][]byte{primary, supplementary, end} {
		r.require(string(d[1:6]) == "CD001" && d[6] == 1, "descriptor identifier")
	}
	r.require(string(supplementary[88:91]) == "%/E", "Joliet escape sequence")
	r.require(bytes.Equal(image[:16*2048], make([]byte, 16*2048)), "system area is not empty")

	label = strings.TrimRight(string(primary[40:72]), " ")
	jolietLabel := strings.TrimRight(r.utf16(supplementary[40:72]), " ")
	r.require(label == jolietLabel, "labels %q and %q differ", label, jolietLabel)

	rockRidge, bare, joliet = readTree{}, readTree{}, readTree{}
	r.volume(primary, bare, rockRidge)
	fileSpans := len(r.spans)
	r.volume(supplementary, joliet, nil)
	r.checkSpans(fileSpans)
	return label, rockRidge, bare, joliet
}

// volume reads one descriptor, its path tables and the tree behind it.
func (r *isoReader) volume(d []byte, tree, rockRidge readTree) {
	r.require(r.both32(d[80:])*2048 == len(r.image), "volume size")
	r.require(r.both16(d[120:]) == 1 && r.both16(d[124:]) == 1 && r.both16(d[128:]) == 2048, "volume set or block size")
	for _, at := range []int{813, 830} {
		r.require(string(d[at:at+17]) == "2000010100000000\x00", "volume date at %d", at)
	}
	for _, at := range []int{847, 864} {
		r.require(string(d[at:at+17]) == "0000000000000000\x00", "volume date at %d", at)
	}
	r.require(d[156] == 34 && d[881] == 1, "root record or file structure version")

	root := r.record(d[156:190])
	folders := r.walk("", "", root, root, tree, rockRidge)
	r.pathTables(d, folders)
}

// listed is a folder found by walking, to be compared with the path table.
type listed struct {
	depth  int
	sector int
	parent int // sector
	id     string
}

// walk reads the folder at self and everything below it.
func (r *isoReader) walk(path, exact string, self, parent record, tree, rockRidge readTree) []listed {
	r.spans = append(r.spans, span{"folder " + path, self.sector * 2048, self.sector*2048 + self.size})
	records := r.records(self)
	r.require(len(records) >= 2 && records[0].id == "\x00" && records[1].id == "\x01", "%q: no dot records", path)
	r.require(records[0].sector == self.sector && records[0].size == self.size, "%q: . points elsewhere", path)
	r.require(records[1].sector == parent.sector && records[1].size == parent.size, "%q: .. points elsewhere", path)

	var found []listed
	previous := ""
	for i, rec := range records {
		use := posix{}
		if rockRidge != nil {
			use = r.posix(rec, path == "" && i == 0)
		}
		if i < 2 {
			r.dotRecord(i, exact, use, rockRidge)
			continue
		}
		name := rec.id
		if rockRidge == nil {
			name = r.utf16([]byte(rec.id))
		} else if !rec.folder {
			r.require(strings.HasSuffix(name, ";1"), "%q has no version", name)
			name = strings.TrimSuffix(name, ";1")
		}
		key := name
		if rockRidge == nil {
			key = rec.id
		}
		r.require(previous < key, "%q: %q is not after %q", path, key, previous)
		previous = key

		child, exactChild := path+name, exact+use.name
		entry := readFile{mode: use.mode, links: use.links, data: r.content(rec, child, rockRidge != nil)}
		tree[child] = entry
		if rockRidge != nil {
			r.require(rockRidge[exactChild].links == 0, "%q is listed twice", exactChild)
			rockRidge[exactChild] = entry
		}
		if rec.folder {
			found = append(found, listed{strings.Count(child, "/") + 1, rec.sector, self.sector, rec.id})
			found = append(found, r.walk(child+"/", exactChild+"/", rec, self, tree, rockRidge)...)
		}
	}
	return found
}

// dotRecord sees that "." (i is 0) or ".." of the folder at exact says of its
// folder what the listing of that folder said before. Nothing lists the root.
func (r *isoReader) dotRecord(i int, exact string, use posix, rockRidge readTree) {
	if rockRidge == nil {
		return
	}
	folder := strings.TrimSuffix(exact, "/")
	if i == 0 && folder == "" {
		rockRidge[""] = readFile{mode: use.mode, links: use.links}
	}
	if i == 1 {
		folder = folder[:max(strings.LastIndexByte(folder, '/'), 0)]
	}
	known := rockRidge[folder]
	r.require(known.mode == use.mode && known.links == use.links, "dot record %d in %q says %v, its folder %v", i, exact, use, known)
}

// content returns the bytes of a file's record, nil for a folder.
func (r *isoReader) content(rec record, name string, claim bool) []byte {
	if rec.folder {
		return nil
	}
	start := rec.sector * 2048
	if rec.size > 0 && claim {
		r.spans = append(r.spans, span{"file " + name, start, start + rec.size})
	}
	return r.image[start : start+rec.size]
}

// record is one directory record.
type record struct {
	sector, size int
	folder       bool
	id           string
	use          []byte
}

func (r *isoReader) record(b []byte) record {
	r.require(bytes.Equal(b[18:25], []byte{100, 1, 1, 0, 0, 0, 0}), "record date % x", b[18:25])
	r.require(b[1] == 0 && b[26] == 0 && b[27] == 0 && r.both16(b[28:]) == 1, "record with unknown features")
	r.require(b[25]&^2 == 0, "record flags %x", b[25])
	idEnd := 33 + int(b[32])
	use := idEnd
	if b[32]%2 == 0 {
		use++
	}
	return record{r.both32(b[2:]), r.both32(b[10:]), b[25]&2 != 0, string(b[33:idEnd]), b[use:]}
}

// records returns the records of a folder and sees that none crosses a sector.
func (r *isoReader) records(folder record) []record {
	r.require(folder.size > 0 && folder.size%2048 == 0, "folder of %d bytes", folder.size)
	var list []record
	for s := range folder.size / 2048 {
		sector := r.sector(folder.sector + s)
		for len(sector) > 0 && sector[0] != 0 {
			length := int(sector[0])
			r.require(length%2 == 0 && length <= len(sector), "record of %d bytes crosses a sector", length)
			list = append(list, r.record(sector[:length]))
			sector = sector[length:]
		}
		r.require(bytes.Equal(sector, make([]byte, len(sector))), "bytes behind the last record")
	}
	return list
}

// posix is what the Rock Ridge entries of a record say.
type posix struct {
	mode  fs.FileMode
	links uint32
	name  string
}

func (r *isoReader) posix(rec record, root bool) posix {
	fields := r.suspFields(rec.use)
	var signatures []string
	var p posix
	for _, f := range fields {
		signature, data := string(f[:2]), f[4:]
		signatures = append(signatures, signature)
		switch signature {
		case "SP":
			r.require(bytes.Equal(data, []byte{0xBE, 0xEF, 0}), "SP data")
		case "ER":
			r.require(int(data[0])+int(data[1])+int(data[2])+4 == len(data), "ER lengths")
			r.require(string(data[4:14]) == "RRIP_1991A" && data[0] == 10, "ER identifier")
		case "PX":
			mode := r.both32(data)
			r.require(r.both32(data[16:]) == 0 && r.both32(data[24:]) == 0, "owner is not root")
			p.mode, p.links = fs.FileMode(mode&0o777), uint32(r.both32(data[8:]))
			switch mode &^ 0o777 {
			case 0o100000:
			case 0o040000:
				p.mode |= fs.ModeDir
			default:
				r.require(false, "mode %o", mode)
			}
			r.require(p.mode.IsDir() == rec.folder, "%q: kind of PX and of the record differ", rec.id)
		case "TF":
			r.require(data[0] == 0x0E && bytes.Equal(data[1:], bytes.Repeat([]byte{100, 1, 1, 0, 0, 0, 0}, 3)), "TF")
		case "NM":
			r.require(data[0] == 0, "NM flags")
			p.name = string(data[1:])
		}
	}
	want := []string{"PX", "TF", "NM"}
	if root {
		want = []string{"SP", "PX", "TF", "ER"}
	} else if rec.id == "\x00" || rec.id == "\x01" {
		want = []string{"PX", "TF"}
	}
	r.require(slices.Equal(signatures, want), "%q has the entries %v", rec.id, signatures)
	return p
}

// suspFields returns the entries of a system use area, CE entries followed.
func (r *isoReader) suspFields(area []byte) [][]byte {
	var fields [][]byte
	var next []byte
	for len(area) >= 4 {
		length := int(area[2])
		r.require(length >= 4 && length <= len(area) && area[3] == 1, "entry % x", area[:4])
		field := area[:length]
		area = area[length:]
		if string(field[:2]) != "CE" {
			fields = append(fields, field)
			continue
		}
		sector, offset, size := r.both32(field[4:]), r.both32(field[12:]), r.both32(field[20:])
		r.require(offset+size <= 2048, "continuation crosses a sector")
		start := sector*2048 + offset
		r.spans = append(r.spans, span{"continuation", start, start + size})
		next = r.image[start : start+size]
	}
	if next != nil {
		fields = append(fields, r.suspFields(next)...)
	}
	return fields
}

// pathTables compares both path tables with the folders found by walking.
func (r *isoReader) pathTables(d []byte, folders []listed) {
	size := r.both32(d[132:])
	little := int(binary.LittleEndian.Uint32(d[140:])) * 2048
	big := int(binary.BigEndian.Uint32(d[148:])) * 2048
	r.spans = append(r.spans, span{"table L", little, little + size}, span{"table M", big, big + size})
	fromLittle := r.pathTable(r.image[little:little+size], binary.LittleEndian)
	r.require(slices.Equal(fromLittle, r.pathTable(r.image[big:big+size], binary.BigEndian)), "path tables differ")

	root := r.record(d[156:190])
	place := map[int]int{root.sector: 1} // number of the folder at a sector
	want := []listed{{0, root.sector, root.sector, "\x00"}}
	for depth := 1; len(want) <= len(folders); depth++ {
		var level []listed
		for _, f := range folders {
			if f.depth == depth {
				level = append(level, f)
			}
		}
		r.require(len(level) > 0, "no folder at depth %d", depth)
		slices.SortFunc(level, func(a, b listed) int {
			if a.parent != b.parent {
				return place[a.parent] - place[b.parent]
			}
			return strings.Compare(a.id, b.id)
		})
		for _, f := range level {
			want = append(want, f)
			place[f.sector] = len(want)
		}
	}
	r.require(len(fromLittle) == len(want), "path table has %d folders, the tree %d", len(fromLittle), len(want))
	for i, row := range fromLittle {
		f := want[i]
		r.require(row == tableRow{f.sector, place[f.parent], f.id}, "path table row %d is %v, want %v", i+1, row, f)
	}
}

type tableRow struct {
	sector, parent int
	id             string
}

func (r *isoReader) pathTable(b []byte, order binary.ByteOrder) []tableRow {
	var rows []tableRow
	for len(b) > 0 {
		n := int(b[0])
		rows = append(rows, tableRow{int(order.Uint32(b[2:])), int(order.Uint16(b[6:])), string(b[8 : 8+n])})
		b = b[8+n+n%2:]
	}
	return rows
}

// checkSpans sees that the parts of the image overlap nowhere and lie inside it.
func (r *isoReader) checkSpans(atLeast int) {
	r.require(len(r.spans) > atLeast && atLeast > 0, "one of the trees was not read")
	slices.SortFunc(r.spans, func(a, b span) int { return a.start - b.start })
	end := span{"descriptors", 0, 19 * 2048}
	for _, s := range r.spans {
		r.require(end.end <= s.start, "%s and %s overlap", end.what, s.what)
		end = s
	}
	r.require(end.end <= len(r.image), "%s lies outside the image", end.what)
}

func (r *isoReader) sector(n int) []byte { return r.image[n*2048 : (n+1)*2048] }

func (r *isoReader) both16(b []byte) int {
	v := binary.LittleEndian.Uint16(b)
	r.require(v == binary.BigEndian.Uint16(b[2:]), "halves of a number differ: % x", b[:4])
	return int(v)
}

func (r *isoReader) both32(b []byte) int {
	v := binary.LittleEndian.Uint32(b)
	r.require(v == binary.BigEndian.Uint32(b[4:]), "halves of a number differ: % x", b[:8])
	return int(v)
}

func (r *isoReader) utf16(b []byte) string {
	r.require(len(b)%2 == 0, "odd UTF-16: % x", b)
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = binary.BigEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units))
}

func (r *isoReader) require(ok bool, format string, args ...any) {
	if !ok {
		r.t.Helper()
		r.t.Fatal("image: " + fmt.Sprintf(format, args...))
	}
}
