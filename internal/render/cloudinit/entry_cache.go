package cloudinit

import (
	"bytes"

	"muster/internal/render/payload"
)

// entryCache holds entries of write_files by their YAML, since most of a machine's are those of others too. Each can be read
// by itself: it has no tag and no anchor.
var entryCache payload.Cache[writeFile]

// cachedEntries is a document with the entries that are in the cache taken out.
type cachedEntries struct {
	// files are the entries of write_files but for the last one. Those that are not in the cache are nil, and in texts.
	files []*writeFile
	texts [][]byte
	// rest is the document without the cached ones.
	rest []byte
}

// takeCached takes the cached entries out of a document.
func takeCached(document []byte) cachedEntries {
	list, isList := bytes.CutPrefix(document, []byte(listStart))
	if !isList {
		return cachedEntries{rest: document}
	}
	c := cachedEntries{rest: append(make([]byte, 0, len(document)), listStart...)}
	for {
		entry, _, more := bytes.Cut(list, []byte("\n"+entryStart))
		if !more {
			c.rest = append(c.rest, list...)
			return c
		}
		list = list[len(entry)+1:]
		if file, cached := entryCache.Load(entry); cached {
			c.files = append(c.files, &file)
			continue
		}
		c.files, c.texts = append(c.files, nil), append(c.texts, entry)
		c.rest = append(append(c.rest, entry...), '\n')
	}
}

// complete puts the cached entries into what was read of the rest, in the places that they had, and caches the others.
func (c cachedEntries) complete(user *userData) error {
	read := user.WriteFiles
	if len(read) < len(c.texts) {
		return errMore
	}
	for i, text := range c.texts {
		entryCache.Store(text, read[i])
	}
	all := make([]writeFile, 0, len(c.files)+1)
	for _, f := range c.files {
		if f == nil {
			f, read = &read[0], read[1:]
		}
		all = append(all, *f)
	}
	user.WriteFiles = append(all, read...)
	return nil
}
