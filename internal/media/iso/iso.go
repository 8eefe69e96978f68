// Package iso writes ISO 9660 images, which carry finished documents to a
// machine.
//
// It owns that format and nothing else: it takes names, modes and bytes, and
// returns bytes. It must not know the cluster spec or a node's configuration,
// open a file, read the clock or use randomness, so that the same input gives
// the same image on every machine and on every day.
package iso

import (
	"encoding/binary"
	"io/fs"
)

// File is one file of an image.
type File struct {
	// Name is the slash-separated path below the root folder of the image, for
	// example "user-data" or "muster/rendezvous-amd64". The folders on the way
	// are made from the names and belong to root, mode 0755. A part has at most 64
	// characters of the Basic Multilingual Plane, a path at most 8 parts.
	Name string
	// Mode holds the permission bits that Rock Ridge records; the owner is
	// always 0:0. Any other bit is an error.
	Mode fs.FileMode
	// Data is the content, less than 4 GiB (a directory record has 32 bits for
	// the length).
	Data []byte
}

const (
	// sectorSize is the logical sector and the logical block of ECMA-119, in
	// bytes. Every place in an image is counted in it.
	sectorSize = 2048
	// systemArea is the number of sectors that ECMA-119 §6.2.1 leaves to the
	// machine; the descriptors start behind them.
	systemArea = 16
	// descriptorCount is primary, Joliet and terminator.
	descriptorCount = 3

	// Readers find the standard's name and version at the start of every
	// descriptor.
	standardID = "CD001"

	descriptorPrimary       = 1
	descriptorSupplementary = 2
	descriptorTerminator    = 255

	// applicationID is recorded in both descriptors. It carries no version, so
	// that a new release alone does not change an image.
	applicationID = "MUSTER"
)

// Every date of an image is 2000-01-01 00:00:00 UTC, because the clock would
// make two runs differ. blkid derives the volume's UUID from it, so all images
// have the same UUID and have to be found by their label.
var (
	// recordDate is the 7-byte form of ECMA-119 §9.1.5: years since 1900, month,
	// day, hour, minute, second, quarter hours from UTC.
	recordDate = []byte{100, 1, 1, 0, 0, 0, 0}
	// volumeDate is the 17-byte form of ECMA-119 §8.4.26.1.
	volumeDate = "2000010100000000\x00"
	// noDate is the same form for "not specified": digits, not zero bytes.
	noDate = "0000000000000000\x00"
)

// Image returns an ISO 9660 image that holds files, byte for byte the same for
// the same arguments whatever the order of files.
//
// The names are exact in both trees that a reader may choose: Rock Ridge
// (RRIP 1.09, with modes) and Joliet. The bare ISO 9660 names are unique 8.3
// forms of them. volumeID is recorded as given, lower case too, because
// cloud-init finds its NoCloud seed by the label "cidata"; it has 1 to 16
// letters, digits, ".", "-" or "_". The arguments are left unchanged.
//
// The image comes in pieces, one behind the other. Those that hold files are the
// files' own bytes, so a thousand images take little memory beside their files.
//
// A file that cannot be recorded exactly is an error that names the file; all
// such files are reported together (errors.Join).
func Image(volumeID string, files []File) ([][]byte, error) {
	if err := checkVolumeID(volumeID); err != nil {
		return nil, err
	}
	root, err := buildTree(files)
	if err != nil {
		return nil, err
	}
	img := image{
		volumeID: volumeID,
		trees:    []*tree{newPrimaryTree(root), newJolietTree(root)},
		files:    root.allFiles(nil),
	}
	img.layOut()
	return img.encode(), nil
}

// image is an image in the making: its trees, and the files both refer to.
type image struct {
	volumeID string
	trees    []*tree // primary, then Joliet, as their descriptors follow
	files    []*node
	sectors  uint32 // length of the whole image, known after layOut
}

// layOut gives every part of the image its place: path tables, folders, files.
func (img *image) layOut() {
	next := uint32(systemArea + descriptorCount)
	take := func(size int) uint32 {
		at := next
		next += sectorsFor(size)
		return at
	}
	for _, t := range img.trees {
		t.tableSize = len(t.pathTable(binary.LittleEndian))
		t.littleTable = take(t.tableSize)
		t.bigTable = take(t.tableSize)
	}
	for _, t := range img.trees {
		for _, f := range t.folders {
			// The lengths do not depend on the places that are still missing, so
			// the encoder itself is the measure and cannot disagree with it.
			records, continuation := t.encodeFolder(f)
			f.size = uint32(len(records))
			f.sector = take(len(records))
			f.continuation = take(len(continuation))
		}
	}
	for _, n := range img.files {
		if len(n.data) > 0 {
			n.sector = take(len(n.data))
		}
	}
	img.sectors = next
}

// zeros are what the system area and the ends of sectors hold. Nobody writes to them.
var zeros [systemArea * sectorSize]byte

// encode returns the system area, everything that describes the files at the place
// that layOut gave it, and the files, which come last.
func (img *image) encode() [][]byte {
	var pieces, contents [][]byte
	first := img.sectors // that a file is in
	for _, n := range img.files {
		if len(n.data) == 0 {
			continue
		}
		first = min(first, n.sector)
		contents = append(contents, n.data)
		if rest := len(n.data) % sectorSize; rest > 0 {
			contents = append(contents, zeros[:sectorSize-rest])
		}
	}
	pieces = append(pieces, zeros[:], img.describe(int(first)))
	return append(pieces, contents...)
}

// describe returns everything between the system area and a sector.
func (img *image) describe(end int) []byte {
	out := make([]byte, (end-systemArea)*sectorSize)
	put := func(sector uint32, data []byte) {
		copy(out[(int(sector)-systemArea)*sectorSize:], data)
	}
	for i, t := range img.trees {
		put(systemArea+uint32(i), t.descriptor(img.volumeID, img.sectors))
		put(t.littleTable, t.pathTable(binary.LittleEndian))
		put(t.bigTable, t.pathTable(binary.BigEndian))
		for _, f := range t.folders {
			records, continuation := t.encodeFolder(f)
			put(f.sector, records)
			put(f.continuation, continuation)
		}
	}
	put(systemArea+uint32(len(img.trees)), descriptorHead(descriptorTerminator))
	return out
}

// descriptorHead returns the sector of a volume descriptor (ECMA-119 §8.1) with
// nothing but its head, which is all there is to a terminator.
func descriptorHead(kind byte) []byte {
	d := make([]byte, sectorSize)
	d[0] = kind
	copy(d[1:], standardID)
	d[6] = 1 // version of the descriptor
	return d
}

// descriptor returns the tree's volume descriptor (ECMA-119 §8.4 and §8.5).
// Fields that are not set stay "not specified": text is all spaces then.
func (t *tree) descriptor(volumeID string, sectors uint32) []byte {
	d := descriptorHead(t.kind)
	text := func(offset, width int, s string) { copy(d[offset:], t.text(s, width)) }

	text(8, 32, "") // system
	text(40, 32, volumeID)
	copy(d[80:], bothEndian32(sectors))
	copy(d[88:], t.escapes)
	copy(d[120:], bothEndian16(1)) // volumes in the set
	copy(d[124:], bothEndian16(1)) // this one's number
	copy(d[128:], bothEndian16(sectorSize))
	copy(d[132:], bothEndian32(uint32(t.tableSize)))
	binary.LittleEndian.PutUint32(d[140:], t.littleTable)
	binary.BigEndian.PutUint32(d[148:], t.bigTable)
	copy(d[156:], directoryRecord(selfID, t.folders[0].extent(), nil))
	text(190, 128, "") // volume set
	text(318, 128, "") // publisher
	text(446, 128, "") // data preparer
	text(574, 128, applicationID)
	text(702, 37, "")         // copyright file
	text(739, 37, "")         // abstract file
	text(776, 37, "")         // bibliographic file
	copy(d[813:], volumeDate) // creation
	copy(d[830:], volumeDate) // modification
	copy(d[847:], noDate)     // expiration
	copy(d[864:], noDate)     // effective
	d[881] = 1                // version of the file structure
	return d
}

// sectorsFor returns how many sectors size bytes take.
func sectorsFor(size int) uint32 {
	return uint32((size + sectorSize - 1) / sectorSize)
}

// bothEndian16 returns v little-endian, then big-endian (ECMA-119 §7.2.3).
func bothEndian16(v uint16) []byte {
	b := binary.LittleEndian.AppendUint16(nil, v)
	return binary.BigEndian.AppendUint16(b, v)
}

// bothEndian32 returns v little-endian, then big-endian (ECMA-119 §7.3.3).
func bothEndian32(v uint32) []byte {
	b := binary.LittleEndian.AppendUint32(nil, v)
	return binary.BigEndian.AppendUint32(b, v)
}
