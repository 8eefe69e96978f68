package iso

import "io/fs"

// The entries of this file are those of SUSP 1.09 (SP, CE, ER) and RRIP 1.09
// (PX, TF, NM): a signature of two letters, the length, the version, the data.

const (
	// The three texts that an ER entry must have to announce RRIP 1.09; readers
	// look at the first.
	rockRidgeID     = "RRIP_1991A"
	rockRidgeText   = "THE ROCK RIDGE INTERCHANGE PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS"
	rockRidgeSource = "PLEASE CONTACT DISC PUBLISHER FOR SPECIFICATION SOURCE.  SEE PUBLISHER IDENTIFIER IN PRIMARY VOLUME DESCRIPTOR FOR CONTACT INFORMATION."

	// fieldVersion is the version of every entry in use here.
	fieldVersion = 1
	// sizeCE is the length of a CE entry in bytes.
	sizeCE = 28

	// POSIX's bits for the kind of a file.
	posixRegular   = 0o100000
	posixDirectory = 0o040000

	// stampsMAC says that a TF entry has the times of modification, access and
	// attribute change, in the 7-byte form.
	stampsMAC = 0x02 | 0x04 | 0x08
)

// dotFields returns the system use entries of a "." or ".." record that stands
// for n; first is the "." of the root, where readers look for what is in use.
func (t *tree) dotFields(n *node, first bool) [][]byte {
	if !t.rockRidge {
		return nil
	}
	if first {
		return [][]byte{fieldSP(), fieldPX(n), fieldTF(), fieldER()}
	}
	return [][]byte{fieldPX(n), fieldTF()}
}

// entryFields returns the system use entries of the record that lists n.
func (t *tree) entryFields(n *node) [][]byte {
	if !t.rockRidge {
		return nil
	}
	return [][]byte{fieldPX(n), fieldTF(), fieldNM(n.name)}
}

// fitFields splits entries into those that fit into room bytes of a record and
// the rest, which goes to a continuation area. If there is a rest, inline leaves
// room for the CE entry that points to it.
func fitFields(fields [][]byte, room int) (inline, rest []byte) {
	total := 0
	for _, field := range fields {
		total += len(field)
	}
	if total > room {
		room -= sizeCE
	}
	for _, field := range fields {
		if len(rest) == 0 && len(inline)+len(field) <= room {
			inline = append(inline, field...)
		} else {
			rest = append(rest, field...)
		}
	}
	return inline, rest
}

// susp returns an entry with its head.
func susp(signature string, data ...[]byte) []byte {
	field := []byte{signature[0], signature[1], 0, fieldVersion}
	for _, d := range data {
		field = append(field, d...)
	}
	field[2] = byte(len(field))
	return field
}

// fieldSP marks an image whose records have such entries, from their first byte.
func fieldSP() []byte {
	return susp("SP", []byte{0xBE, 0xEF, 0})
}

// fieldER announces that the entries beyond SUSP's own are Rock Ridge.
func fieldER() []byte {
	lengths := []byte{byte(len(rockRidgeID)), byte(len(rockRidgeText)), byte(len(rockRidgeSource)), 1}
	return susp("ER", lengths, []byte(rockRidgeID+rockRidgeText+rockRidgeSource))
}

// fieldCE points to size bytes of further entries.
func fieldCE(sector uint32, offset, size int) []byte {
	return susp("CE", bothEndian32(sector), bothEndian32(uint32(offset)), bothEndian32(uint32(size)))
}

// fieldPX is the POSIX mode, the number of links and the owner, 0:0.
func fieldPX(n *node) []byte {
	mode := uint32(n.mode & fs.ModePerm)
	if n.mode.IsDir() {
		mode |= posixDirectory
	} else {
		mode |= posixRegular
	}
	return susp("PX", bothEndian32(mode), bothEndian32(n.links()), bothEndian32(0), bothEndian32(0))
}

// fieldTF is the times of the file.
func fieldTF() []byte {
	return susp("TF", []byte{stampsMAC}, recordDate, recordDate, recordDate)
}

// fieldNM is the exact name, in UTF-8.
func fieldNM(name string) []byte {
	return susp("NM", []byte{0}, []byte(name))
}
