package secrets

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// maxFileSize is in bytes; a bundle's file has about 400.
const maxFileSize = 4096

// Load reads the bundle of a file. It refuses a file that others may read or write, that belongs to somebody else, or
// that is no bundle, and with ErrTestBundle the public test bundle. The error wraps fs.ErrNotExist when there is no
// such file.
func Load(path string) (*Bundle, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err // names the path
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, err
	}
	b, err := decode(text)
	// The test bundle is recognised whatever its owner and mode: git keeps neither, and it has nothing to protect.
	if !errors.Is(err, ErrTestBundle) {
		// Of the open file, so that nobody can exchange it in between.
		info, statErr := f.Stat()
		if statErr != nil {
			return nil, statErr
		}
		if accessErr := checkAccess(path, info); accessErr != nil {
			err = accessErr
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return b, nil
}

// LoadOrNew reads the bundle of a file like Load, and makes one where there is none, which is in no file yet; fresh tells
// which. The seed comes from random, the creation time from now.
func LoadOrNew(path string, random io.Reader, now time.Time) (b *Bundle, fresh bool, err error) {
	b, err = Load(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return b, false, err
	}
	b, err = newBundle(random, now)
	return b, err == nil, err
}

// Create writes a new bundle and links it to its name when it is whole: link, unlike rename, refuses a name that
// exists, and then the error wraps fs.ErrExist. The file appears whole and on disk or not at all.
func (b *Bundle) Create(path string) error {
	text, err := b.encode()
	if err != nil {
		return err
	}
	folder := filepath.Dir(path)
	if err := writeNew(path, text); errors.Is(err, fs.ErrExist) {
		return err
	} else if err != nil {
		instead := "name a file on a file system that has permissions and hard links"
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) && !errors.As(err, new(*os.LinkError)) {
			instead = "name a file in a folder that you can write to"
		}
		return fmt.Errorf("%s: cannot be created: %w: %s", path, err, instead)
	}
	if err := syncFolder(folder); err != nil {
		return fmt.Errorf("%s: not safely on disk: %w", path, err)
	}
	return nil
}

// writeNamed is writeNew by way of a temporary name beside the final one, which a run that is killed leaves behind.
func writeNamed(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	// Chmod: a umask may take rights from the owner too.
	if err := errors.Join(err, f.Chmod(0o600), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Link(f.Name(), path)
}
