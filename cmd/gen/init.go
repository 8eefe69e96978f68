package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"
)

// startingSpec is a commented spec that gen accepts as it is; a test holds it to that.
//
//go:embed starting-spec.yaml
var startingSpec []byte

func (o *options) init() *cobra.Command {
	c := &cobra.Command{
		Use:   "init [FILE]",
		Short: "Write a commented spec to start from: to FILE, which must not exist yet, or to standard output",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return wrongUsage("init takes one file, not %d", len(args))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				_, err := o.stdout.Write(startingSpec)
				return err
			}
			return writeNew(args[0], startingSpec)
		},
	}
	return c
}

// writeNew writes a file that must not exist yet.
func writeNew(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already: name another file, or remove it", name)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}
