package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"muster/internal/explain"
	"muster/internal/generate"
	"muster/internal/outdir"
	"muster/internal/plan"
	"muster/internal/problem"
	"muster/internal/spec"
	"muster/profiles"
)

func (o *options) explain() *cobra.Command {
	c := &cobra.Command{
		Use:   "explain -spec cluster.yaml FILE[:LINE]",
		Short: "Say which line of the spec, which profile and which template a file of the output folder, or one line of it, comes from",
		Long: `explain says which line of the spec, which profile and which template a file of the output folder, or one line of
it, comes from: a value plays a part if the file would be another one with another value. Values that no line holds are
shown as defaults. It writes nothing, and shows no secrets.

FILE is a path of a file in the output folder, or its path below that:

  gen explain -spec cluster.yaml out/nodes/k8s-node1/files/etc/hosts:8
  gen explain -spec cluster.yaml nodes/k8s-master/user-data

Exit codes: 0 good, 1 the spec has problems, 2 wrong usage, 3 anything else.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return wrongUsage("explain takes one FILE or FILE:LINE, not %d", len(args))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return o.showExplanation(args[0]) },
	}
	o.specFlags(c)
	c.Flags().StringVar(&o.out, "out", "out", "folder that FILE lies in")
	c.Flags().Lookup("format").Usage = "how the explanation is written: text or json"
	return c
}

// lineSuffix is the :LINE of FILE:LINE.
var lineSuffix = regexp.MustCompile(`^(.+):(\d{1,9})$`)

func (o *options) showExplanation(argument string) error {
	file, line := argument, 0
	if m := lineSuffix.FindStringSubmatch(argument); m != nil {
		file = m[1]
		line, _ = strconv.Atoi(m[2]) // nine digits at most
		if line == 0 {
			return wrongUsage("lines count from 1: %s", argument)
		}
	}
	result, err := o.readAside()
	if err != nil {
		return err
	}
	name := o.inTree(file)
	e, err := explain.Of(o.explainInput(result), name, line)
	if err != nil {
		return err
	}
	o.warnIfStale(result.Tree, name)
	if o.format == "json" {
		return o.encode(e)
	}
	return explain.Print(o.stdout, e, o.out)
}

// inTree is the path below the output folder of a file that was named by that, or by its path.
func (o *options) inTree(file string) string {
	if below, inside := generate.InFolder(file, o.out); inside {
		return filepath.ToSlash(below)
	}
	return filepath.ToSlash(filepath.Clean(file))
}

func (o *options) explainInput(r *generate.Result) explain.Input {
	return explain.Input{
		Spec: o.spec, Sources: r.Sources, Machines: r.Machines, Tree: r.Tree,
		Replan: func(c *spec.Cluster, loaded map[string]*profiles.Profile, index int) plan.Machine {
			var ignored problem.List // of values that gen made up
			again := r.Input
			again.Cluster, again.Profiles, again.Only = c, loaded, &index
			return plan.Build(again, &ignored)[0]
		},
	}
}

// warnIfStale tells of a file that is not what the spec comes to: its lines may be others.
func (o *options) warnIfStale(tree []outdir.File, name string) {
	onDisk, err := os.ReadFile(filepath.Join(o.out, filepath.FromSlash(name)))
	if err != nil {
		return // gen has not written it yet
	}
	i := slices.IndexFunc(tree, func(f outdir.File) bool { return f.Path == name })
	if i >= 0 && !bytes.Equal(tree[i].Bytes(), onDisk) {
		fmt.Fprintf(o.stderr, "gen: %s is not what %s comes to, and what gen would write is explained; gen diff shows the difference\n", filepath.Join(o.out, name), o.spec)
	}
}
