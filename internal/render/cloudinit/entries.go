package cloudinit

import (
	"bytes"

	"muster/internal/render/payload"
)

// readBefore are entries of write_files by their YAML, since most of a machine's are those of others too. Each stands for
// itself: it has no tag and no anchor.
var readBefore payload.Kept[writeFile]

// partlyRead is a document of which some entries are known.
type partlyRead struct {
	// files are the entries of write_files but for the last one. Those that are not known are nil, and stand in texts.
	files []*writeFile
	texts [][]byte
	// rest is the document without the known ones.
	rest []byte
}

// readKnown takes what is known out of a document.
func readKnown(document []byte) partlyRead {
	list, isList := bytes.CutPrefix(document, []byte(listStart))
	if !isList {
		return partlyRead{rest: document}
	}
	p := partlyRead{rest: append(make([]byte, 0, len(document)), listStart...)}
	for {
		entry, _, more := bytes.Cut(list, []byte("\n"+entryStart))
		if !more {
			p.rest = append(p.rest, list...)
			return p
		}
		list = list[len(entry)+1:]
		if file, known := readBefore.Load(entry); known {
			p.files = append(p.files, &file)
			continue
		}
		p.files, p.texts = append(p.files, nil), append(p.texts, entry)
		p.rest = append(append(p.rest, entry...), '\n')
	}
}

// complete puts the known entries into what was read of the rest, in the places that they had, and keeps those that were
// not known.
func (p partlyRead) complete(user *userData) error {
	read := user.WriteFiles
	if len(read) < len(p.texts) {
		return errMore
	}
	for i, text := range p.texts {
		readBefore.Store(text, read[i])
	}
	all := make([]writeFile, 0, len(p.files)+1)
	for _, f := range p.files {
		if f == nil {
			f, read = &read[0], read[1:]
		}
		all = append(all, *f)
	}
	user.WriteFiles = append(all, read...)
	return nil
}
