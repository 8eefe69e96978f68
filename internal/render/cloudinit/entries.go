package cloudinit

import (
	"bytes"
	"sync"
)

// entries keeps entries of write_files by their YAML, since most of a machine's are those of others too. Each stands for
// itself: it has no tag and no anchor. All are forgotten when there are entriesMost.
type entries struct {
	mu   sync.Mutex
	read map[string]writeFile
}

const entriesMost = 256

// readBefore are the entries of this process.
var readBefore entries

// partlyRead is a document of which some entries are known.
type partlyRead struct {
	// files are the entries of write_files but for the last one. Those that are not known are nil, and stand in texts.
	files []*writeFile
	texts [][]byte
	// rest is the document without the known ones.
	rest []byte
}

// find takes what is known out of a document.
func (e *entries) find(document []byte) partlyRead {
	list, isList := bytes.CutPrefix(document, []byte(listStart))
	if !isList {
		return partlyRead{rest: document}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	p := partlyRead{rest: append(make([]byte, 0, len(document)), listStart...)}
	for {
		entry, _, more := bytes.Cut(list, []byte("\n"+entryStart))
		if !more {
			p.rest = append(p.rest, list...)
			return p
		}
		list = list[len(entry)+1:]
		if file, known := e.read[string(entry)]; known {
			p.files = append(p.files, &file)
			continue
		}
		p.files, p.texts = append(p.files, nil), append(p.texts, entry)
		p.rest = append(append(p.rest, entry...), '\n')
	}
}

// fill puts the known entries into what was read of the rest, in the places that they had, and keeps those that were not
// known.
func (e *entries) fill(p partlyRead, user *userData) error {
	if len(user.WriteFiles) < len(p.texts) {
		return errMore
	}
	read, all := user.WriteFiles, make([]writeFile, 0, len(p.files)+1)
	for _, f := range p.files {
		if f == nil {
			f, read = &read[0], read[1:]
		}
		all = append(all, *f)
	}
	e.keep(p.texts, user.WriteFiles)
	user.WriteFiles = append(all, read...)
	return nil
}

func (e *entries) keep(texts [][]byte, files []writeFile) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.read == nil || len(e.read)+len(texts) > entriesMost {
		e.read = map[string]writeFile{}
	}
	for i, text := range texts {
		e.read[string(text)] = files[i]
	}
}
