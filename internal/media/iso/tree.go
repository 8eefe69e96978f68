package iso

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// The identifiers that stand for "." and ".." in every folder (ECMA-119
// §6.8.2.2), in Joliet too.
var (
	selfID   = []byte{0}
	parentID = []byte{1}
)

const (
	// maxRecord is the longest directory record in bytes: the length is one
	// byte, and records have an even one.
	maxRecord = 254
	// flagDirectory marks the record of a folder (ECMA-119 §9.1.6).
	flagDirectory = 2
)

// tree is one of the two hierarchies of an image. Both list the same files;
// they differ in the names and in what stands beside them.
type tree struct {
	kind      byte   // of the volume descriptor
	escapes   string // the character set, for a supplementary descriptor
	version   string // ends the identifier of every file
	rockRidge bool
	text      func(s string, width int) []byte

	folders               []*folder // in the order of the path table, the root first
	tableSize             int       // bytes
	littleTable, bigTable uint32    // first sectors of the path tables
}

// folder is a folder in one tree.
type folder struct {
	node    *node
	id      []byte
	number  uint16  // place in the path table, from 1
	parent  *folder // the root is its own parent
	entries []entry // in the order of their identifiers

	sector       uint32 // first sector of the records
	size         uint32 // of the records, in bytes, whole sectors
	continuation uint32 // first sector of what did not fit into the records
}

// entry is a file or a folder as its parent's records list it.
type entry struct {
	node   *node
	id     []byte
	folder *folder // nil for a file
}

// extent is where a record points.
type extent struct {
	sector, size uint32 // size in bytes
	folder       bool
}

// newPrimaryTree returns the ISO 9660 tree, with Rock Ridge beside its names.
func newPrimaryTree(root *node) *tree {
	t := &tree{kind: descriptorPrimary, version: ";1", rockRidge: true, text: asciiText}
	t.addFolders(root, primaryIDs)
	return t
}

// newJolietTree returns the Joliet tree: UCS-2 level 3, and no version number
// behind the names, which some readers would show as a part of them.
func newJolietTree(root *node) *tree {
	t := &tree{kind: descriptorSupplementary, escapes: "%/E", text: jolietText}
	t.addFolders(root, jolietIDs)
	return t
}

// addFolders fills t.folders level by level, each level by parent and then by
// identifier: the order that ECMA-119 §6.9.1 wants in a path table.
func (t *tree) addFolders(root *node, ids func([]*node) [][]byte) {
	top := &folder{node: root, id: selfID, number: 1}
	top.parent = top
	t.folders = []*folder{top}
	for i := 0; i < len(t.folders); i++ {
		f := t.folders[i]
		children := f.node.sorted()
		for j, id := range ids(children) {
			f.entries = append(f.entries, entry{node: children[j], id: id})
		}
		// Without the version, plain byte order is that of ECMA-119 §9.3: what
		// separates and pads sorts before everything that a name may have.
		slices.SortFunc(f.entries, func(a, b entry) int { return bytes.Compare(a.id, b.id) })
		for j := range f.entries {
			e := &f.entries[j]
			if e.node.mode.IsDir() {
				e.folder = &folder{node: e.node, id: e.id, number: uint16(len(t.folders) + 1), parent: f}
				t.folders = append(t.folders, e.folder)
			}
		}
	}
}

// pathTable returns the list of all folders (ECMA-119 §9.4) in one byte order.
func (t *tree) pathTable(order binary.AppendByteOrder) []byte {
	var table []byte
	for _, f := range t.folders {
		table = append(table, byte(len(f.id)), 0)
		table = order.AppendUint32(table, f.sector)
		table = order.AppendUint16(table, f.parent.number)
		table = append(table, f.id...)
		if len(f.id)%2 == 1 {
			table = append(table, 0)
		}
	}
	return table
}

// encodeFolder returns the directory records of f, whole sectors, and the
// continuation area that their CE entries point into.
func (t *tree) encodeFolder(f *folder) (records, continuation []byte) {
	put := func(id []byte, where extent, fields [][]byte) {
		inline, rest := fitFields(fields, maxRecord-len(directoryRecord(id, where, nil)))
		if len(rest) > 0 {
			continuation = fillSector(continuation, len(rest))
			at := len(continuation)
			inline = append(inline, fieldCE(f.continuation+uint32(at/sectorSize), at%sectorSize, len(rest))...)
			continuation = append(continuation, rest...)
		}
		record := directoryRecord(id, where, inline)
		records = append(fillSector(records, len(record)), record...)
	}

	put(selfID, f.extent(), t.dotFields(f.node, f.parent == f))
	put(parentID, f.parent.extent(), t.dotFields(f.parent.node, false))
	for _, e := range f.entries {
		id, where := e.id, extent{sector: e.node.sector, size: uint32(len(e.node.data))}
		if e.folder != nil {
			where = e.folder.extent()
		} else {
			id = append(slices.Clone(id), t.version...)
		}
		put(id, where, t.entryFields(e.node))
	}
	return fillSector(records, sectorSize), continuation
}

// extent returns where the records of f are.
func (f *folder) extent() extent {
	return extent{sector: f.sector, size: f.size, folder: true}
}

// directoryRecord returns one record (ECMA-119 §9.1) with the bytes of its
// system use area. Its length is even.
func directoryRecord(id []byte, where extent, systemUse []byte) []byte {
	var flags byte
	if where.folder {
		flags = flagDirectory
	}
	r := make([]byte, 2, maxRecord) // length, filled in below; no extended attributes
	r = append(r, bothEndian32(where.sector)...)
	r = append(r, bothEndian32(where.size)...)
	r = append(r, recordDate...)
	r = append(r, flags, 0, 0) // not interleaved
	r = append(r, bothEndian16(1)...)
	r = append(r, byte(len(id)))
	r = append(r, id...)
	r = evenLength(r)
	r = evenLength(append(r, systemUse...))
	r[0] = byte(len(r))
	return r
}

// evenLength appends a zero byte to b if its length is odd.
func evenLength(b []byte) []byte {
	if len(b)%2 == 1 {
		b = append(b, 0)
	}
	return b
}

// fillSector fills the last sector of b with zeros if size more bytes would
// cross its end, which neither a record nor a continuation may.
func fillSector(b []byte, size int) []byte {
	used := len(b) % sectorSize
	if used == 0 || used+size <= sectorSize {
		return b
	}
	return append(b, make([]byte, sectorSize-used)...)
}
