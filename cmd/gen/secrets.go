package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"muster/internal/generate"
	"muster/internal/outdir"
	"muster/internal/secrets"
)

// secretsFile is the bundle's file: beside the spec unless the flag names another.
func (o *options) secretsFile() string {
	if o.secrets != "" {
		return o.secrets
	}
	for _, suffix := range []string{".yaml", ".yml"} {
		if name, found := strings.CutSuffix(o.spec, suffix); found {
			return name + ".secrets"
		}
	}
	return o.spec + ".secrets"
}

// secretsToKeep is for a plain gen, the only command that makes a bundle. It makes none in the place of another one: new
// credentials would make the documents those of another cluster, which no machine of the running one talks to. A fresh
// bundle is in no file yet: keep writes it when the documents are known to be good.
func (o *options) secretsToKeep() (bundle *secrets.Bundle, fresh bool, err error) {
	file := o.secretsFile()
	if o.secrets == "" && isOpenFile(o.spec) {
		return nil, false, fmt.Errorf("the secrets bundle cannot be kept beside %s: name a file with -secrets", o.spec)
	}
	if _, err := os.Lstat(file); errors.Is(err, fs.ErrNotExist) {
		_, inside := generate.InFolder(o.spec, o.out)
		switch _, err := outdir.Read(o.out); {
		case inside:
			return nil, false, o.holdsSpec()
		case errors.Is(err, fs.ErrNotExist):
		case err != nil: // which Write would refuse, after the bundle was made
			return nil, false, err
		default:
			return nil, false, o.bundleGone()
		}
	}
	return secrets.LoadOrNew(file, rand.Reader, time.Now())
}

// keep writes a fresh bundle to its file.
func (o *options) keep(bundle *secrets.Bundle) error {
	file := o.secretsFile()
	err := bundle.Create(file)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s was made by another run meanwhile: run gen again", file)
	}
	if err == nil {
		fmt.Fprintf(o.stderr, "gen: created %s: keep it as long as the cluster, show it to nobody, and keep it out of version control; every credential comes from it\n", file)
	}
	return err
}

// isOpenFile tells a name of a file that this process has open, such as a shell's <(…), beside which nothing lasts.
func isOpenFile(name string) bool {
	return name == "/dev/stdin" || strings.HasPrefix(name, "/dev/fd/") || strings.HasPrefix(name, "/proc/")
}

// lookAtSecrets is for commands that write nothing. Without a bundle the public one shows the documents' form.
func (o *options) lookAtSecrets() (*secrets.Bundle, error) {
	bundle, err := secrets.Load(o.secretsFile())
	if !errors.Is(err, fs.ErrNotExist) {
		return bundle, err
	}
	return secrets.Test(), nil
}

// secretsOfDocuments is for what looks at the output folder: with another bundle than its documents were made with, every
// credential would seem to change.
func (o *options) secretsOfDocuments() (*secrets.Bundle, error) {
	if _, err := os.Lstat(o.secretsFile()); errors.Is(err, fs.ErrNotExist) {
		if _, err := outdir.Read(o.out); err == nil {
			return nil, o.bundleGone()
		}
	}
	return o.lookAtSecrets()
}

// bundleGone is the error for documents whose bundle is not there.
func (o *options) bundleGone() error {
	return fmt.Errorf("%s is not there, and the documents in %s were made with a secrets bundle: bring it back, or name it with -secrets; for a new cluster choose another -out, or remove %s",
		o.secretsFile(), o.out, o.out)
}
