package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

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

// createSecrets is for a plain gen, the only command that makes a bundle.
func (o *options) createSecrets() (*secrets.Bundle, error) {
	file := o.secretsFile()
	bundle, created, err := secrets.LoadOrCreate(file, rand.Reader, time.Now())
	if created {
		fmt.Fprintf(o.stderr, "gen: created %s: keep it as long as the cluster, show it to nobody, and keep it out of version control; every credential comes from it\n", file)
	}
	return bundle, err
}

// lookAtSecrets is for commands that write nothing. Without a bundle the public one shows the documents' form.
func (o *options) lookAtSecrets() (*secrets.Bundle, error) {
	bundle, err := secrets.Load(o.secretsFile())
	if errors.Is(err, fs.ErrNotExist) {
		return secrets.Test(), nil
	}
	return bundle, err
}
