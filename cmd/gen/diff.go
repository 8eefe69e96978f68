package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"muster/internal/diff"
	"muster/internal/generate"
	"muster/internal/terminal"
)

// errDiffers ends a run of gen diff that has shown differences.
var errDiffers = fmt.Errorf("the output folder would change (%w)", errProblems)

func (o *options) diff() *cobra.Command {
	c := &cobra.Command{
		Use:   "diff -spec cluster.yaml -out out/",
		Short: "Show what gen would change in the output folder and what that means for each machine, and write nothing",
		Long: `diff shows what gen would change in the output folder, file by file and line by line, also inside the files that
documents embed, and says for each machine what that means. It writes nothing. Secrets are never shown.

Exit codes: 0 nothing would change, 1 something would, or the spec has problems, 2 wrong usage, 3 anything else.`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error { return o.showDiff() },
	}
	o.specFlags(c)
	c.Flags().StringVar(&o.out, "out", "out", "folder to compare with")
	c.Flags().Lookup("format").Usage = "how the differences are written: text or json"
	return c
}

func (o *options) showDiff() error {
	result, err := o.readAside()
	if err != nil {
		return err
	}
	report, err := diff.Of(o.out, result.Tree, result.Machines)
	if err != nil {
		return err
	}
	if o.format == "json" {
		err = o.encode(report)
	} else {
		err = diff.Print(o.stdout, report, terminal.Colors(o.stdout))
	}
	if err != nil {
		return err
	}
	if report.Differs() {
		return errDiffers
	}
	fmt.Fprintf(o.stderr, "gen: %s is up to date: %s\n", o.out, count(result))
	return nil
}

// readAside is read for commands whose stdout carries what was asked for.
func (o *options) readAside() (*generate.Result, error) {
	return o.aside().read(context.Background(), o.secretsOfDocuments)
}

// aside are the options with the problems as text on stderr in any format.
func (o *options) aside() *options {
	aside := *o
	if o.format == "json" {
		aside.format = "text"
	}
	return &aside
}

// encode writes what was asked for in a form for programs.
func (o *options) encode(value any) error {
	enc := json.NewEncoder(o.stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(value)
}
