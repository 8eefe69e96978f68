//go:build !linux

package secrets

// writeNew makes a 0600 file that appears at its path whole and on disk, or not at all, and fails with fs.ErrExist
// where something is.
func writeNew(path string, text []byte) error { return writeNamed(path, text) }
