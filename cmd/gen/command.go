package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"muster/internal/generate"
	"muster/internal/layout"
	"muster/internal/outdir"
	"muster/internal/plan"
	"muster/internal/problem"
	"muster/internal/rendezvous/binaries"
	"muster/internal/secrets"
	"muster/internal/spec"
	"muster/internal/terminal"
)

// The exit codes of gen.
const (
	exitGood     = 0
	exitProblems = 1 // the spec has problems
	exitUsage    = 2
	exitOther    = 3
)

// errProblems ends a run whose problems have been printed.
var errProblems = errors.New("the spec has problems")

// usageError is a mistake on the command line.
type usageError struct{ error }

func wrongUsage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// options are the flags of all commands.
type options struct {
	spec, out, format, secrets string
	strict                     bool
	stdout, stderr             io.Writer
}

// run is the whole program but for the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o := &options{stdout: stdout, stderr: stderr}
	err := o.execute(ctx, args)
	switch {
	case err == nil:
		return exitGood
	case errors.Is(err, errProblems):
		return exitProblems
	case errors.As(err, new(usageError)):
		fmt.Fprintf(stderr, "gen: %v\n", err)
		return exitUsage
	default:
		fmt.Fprintf(stderr, "gen: %v\n", err)
		return exitOther
	}
}

// execute runs the command that the arguments name.
func (o *options) execute(ctx context.Context, args []string) error {
	root := o.root()
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd() // normalise has to know its flags
	refuseArguments(root)
	root.InitDefaultVersionFlag()
	if isCompletion(args) {
		return o.answerCompletion(ctx, root, args)
	}
	args, err := normalise(root, args)
	command := root
	if err == nil {
		root.SetArgs(args)
		command, err = root.ExecuteContextC(ctx)
	}
	if errors.As(err, new(usageError)) {
		err = usageError{fmt.Errorf("%w (usage: %s; %s -help tells more)", err, command.UseLine(), command.CommandPath())}
	}
	return err
}

func (o *options) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "gen -spec cluster.yaml -out out/",
		Short: "Render the documents that a cluster's machines boot with",
		Long: `gen reads one cluster spec and renders, per role and per node, the cloud-init or Ignition document that each
machine boots with. The folder is exchanged as a whole: a run that fails leaves the old one.

Exit codes: 0 good, 1 the spec has problems, 2 wrong usage, 3 anything else.`,
		Args:          noArguments,
		Version:       version(),
		SilenceErrors: true, SilenceUsage: true, DisableFlagsInUseLine: true,
		RunE: func(c *cobra.Command, _ []string) error { return o.generate(c.Context()) },
	}
	root.SetOut(o.stdout)
	root.SetErr(o.stderr)
	root.Flags().Bool("version", false, "version for gen") // cobra's own has a shorthand, and flags have one dash here
	root.SetVersionTemplate("gen {{.Version}}\n")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return wrongUsage("%v", err) })
	root.PersistentFlags().BoolP("help", "h", false, "show help")
	o.specFlags(root)
	root.Flags().StringVar(&o.out, "out", "out", "folder to write")
	root.AddCommand(o.check(), o.profiles(), o.init(), o.diff(), o.explain(), o.status(), o.reopen(), o.revoke(), o.schema())
	for _, c := range root.Commands() {
		c.DisableFlagsInUseLine = true
	}
	offerCompletions(root)
	return root
}

// refuseArguments has cobra's own commands refuse what they do not know, as ours do. Without that they show help and end well,
// and a shell that reads its completion from gen would run that.
func refuseArguments(root *cobra.Command) {
	for _, c := range root.Commands() {
		switch c.Name() {
		case "completion":
			c.Args = noArguments
			c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
			for _, shell := range c.Commands() {
				shell.Args = noArguments
			}
		case "help":
			c.Run, c.RunE = nil, func(_ *cobra.Command, args []string) error {
				about, rest, err := root.Find(args)
				if err != nil || len(rest) > 0 {
					return wrongUsage("there is no help for %q", strings.Join(args, " "))
				}
				return about.Help()
			}
		}
	}
}

// version is the module's version, which Go takes from the version control that gen was built in.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "(unknown)"
}

// specFlags are the flags of every command that reads a spec.
func (o *options) specFlags(c *cobra.Command) {
	c.Flags().StringVar(&o.spec, "spec", "", "the cluster spec")
	c.Flags().BoolVar(&o.strict, "strict", false, "let warnings fail the run")
	c.Flags().StringVar(&o.secrets, "secrets", "", "the secrets bundle (default: the spec's name with .secrets in place of .yaml)")
	c.Flags().StringVar(&o.format, "format", "text", "how problems are printed: text or json")
	_ = c.MarkFlagFilename("spec", "yaml", "yml") // the flag is defined above
}

func noArguments(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if strings.HasSuffix(args[0], ".yaml") || strings.HasSuffix(args[0], ".yml") {
		return wrongUsage("write -spec in front of %s", args[0])
	}
	var names []string
	for _, sub := range c.Commands() {
		names = append(names, sub.Name())
	}
	if near := problem.Nearest(args[0], names); near != "" {
		return wrongUsage("%q is no command, did you mean %q?", args[0], near)
	}
	return wrongUsage("%q is neither a flag nor a command", args[0])
}

// generate is the main job. An interrupt leaves the output folder as it was, with nothing beside it; a second one ends gen
// at once.
func (o *options) generate(ctx context.Context) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	result, written, err := o.write(ctx)
	if errors.Is(err, context.Canceled) {
		err = fmt.Errorf("interrupted, %s is as it was: %w", o.out, err)
	}
	if err != nil {
		return err
	}
	for _, name := range written.EditedByHand {
		became := "replaced; say it in the spec instead (files, units, patches)"
		if slices.Contains(written.Removed, name) {
			became = "removed, since the spec makes no such file any more"
		}
		fmt.Fprintf(o.stderr, "gen: %s had been edited by hand and was %s\n", filepath.Join(o.out, name), became)
	}
	if !written.Written {
		fmt.Fprintf(o.stderr, "gen: %s is up to date: %s\n", o.out, count(result))
		return nil
	}
	fmt.Fprintf(o.stderr, "gen: wrote %s: %s; %s added, %d changed, %d removed\n", o.out, count(result), number(len(written.Added), "file"), len(written.Changed), len(written.Removed))
	return nil
}

// write puts what the spec comes to into the output folder.
func (o *options) write(ctx context.Context) (*generate.Result, outdir.Result, error) {
	if o.out == "" {
		return nil, outdir.Result{}, wrongUsage("-out names no folder")
	}
	var bundle *secrets.Bundle
	var fresh bool
	result, err := o.read(ctx, func() (_ *secrets.Bundle, err error) {
		bundle, fresh, err = o.secretsToKeep()
		return bundle, err
	})
	if err == nil && result.SpecIn(o.out) {
		err = o.holdsSpec()
	}
	if err == nil {
		err = o.sameCluster(result)
	}
	if err == nil && fresh {
		err = o.keep(bundle)
	}
	if err != nil {
		return nil, outdir.Result{}, err
	}
	bar := newProgress(o.stderr)
	defer bar.clear()
	written, err := outdir.Write(o.out, result.Tree, outdir.Options{Context: ctx, Progress: bar.of("files")})
	return result, written, err
}

// sameCluster refuses to put the documents of one cluster in the place of another one's: credentials and instance-ids hold
// the name, so machines that run would take none of these for theirs.
func (o *options) sameCluster(result *generate.Result) error {
	was, is := clusterIn(o.out), result.Cluster.Metadata.Name.V
	if was == "" || was == is {
		return nil
	}
	return fmt.Errorf("%s holds the documents of the cluster %s, and metadata.name is %s now, which no machine that runs would belong to: write metadata: {name: %s} again; for a new cluster choose another -out, or remove %s",
		o.out, was, is, was, o.out)
}

// clusterIn is the name of the cluster whose documents lie in a folder; empty where there are none, or none that tell.
func clusterIn(folder string) string {
	manifest, err := outdir.Read(folder)
	if err != nil {
		return ""
	}
	for _, entry := range manifest.Files {
		if on, embedded := layout.OnMachine(entry.Path); !embedded || on != plan.ConfFile {
			continue
		}
		text, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(entry.Path)))
		if name := plan.ClusterOf(string(text)); err == nil && name != "" {
			return name
		}
	}
	return ""
}

func (o *options) holdsSpec() error {
	return fmt.Errorf("-out %s holds the spec itself: choose a folder of its own", o.out)
}

func count(r *generate.Result) string {
	return number(len(r.Cluster.Spec.Nodes.Items), "node") + ", " + number(len(r.Cluster.Spec.Pools.Items), "pool")
}

// number is "1 node" or "2 nodes".
func number(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// read runs all stages, with the bundle from what it is given, and prints the problems.
func (o *options) read(ctx context.Context, bundle func() (*secrets.Bundle, error)) (*generate.Result, error) {
	bar := newProgress(o.stderr)
	return o.reported(func(problems *problem.List) (*generate.Result, error) {
		defer bar.clear()
		return generate.FromFile(o.spec, generate.Options{Context: ctx, Secrets: bundle, Program: binaries.Get, Progress: bar.of("documents")}, problems)
	})
}

// reported reads the spec in one way or another and prints its problems.
func (o *options) reported(read func(*problem.List) (*generate.Result, error)) (*generate.Result, error) {
	if o.spec == "" {
		return nil, wrongUsage("no spec is named")
	}
	if o.format != "text" && o.format != "json" {
		return nil, wrongUsage("-format is text or json, not %q", o.format)
	}
	var problems problem.List
	result, err := read(&problems)
	if err != nil {
		return nil, err
	}
	if err := o.print(&problems, result.Sources); err != nil {
		return nil, err
	}
	if problems.Failed() || o.strict && problems.Count(problem.Warning) > 0 {
		return nil, errProblems
	}
	return result, nil
}

// print writes the problems: as text for people on stderr, as JSON for editors on stdout.
func (o *options) print(problems *problem.List, sources map[string][]byte) error {
	found := problems.Sorted()
	if o.format == "json" {
		return problem.JSON(o.stdout, found)
	}
	if err := problem.Print(o.stderr, found, o.style(sources)); err != nil {
		return err
	}
	if errs, warnings := problems.Count(problem.Error), problems.Count(problem.Warning); errs+warnings > 0 {
		fmt.Fprintf(o.stderr, "gen: %s, %s\n", number(errs, "error"), number(warnings, "warning"))
	}
	return nil
}

// style shows people the lines of the sources, without what is secret in them.
func (o *options) style(sources map[string][]byte) problem.Style {
	if !terminal.Is(o.stderr) {
		return problem.Style{}
	}
	style := problem.Style{Source: map[string][]byte{}, Color: terminal.Colors(o.stderr)}
	for name, text := range sources {
		style.Source[name] = spec.Hide(text)
	}
	return style
}

func (o *options) check() *cobra.Command {
	c := &cobra.Command{
		Use:   "check -spec cluster.yaml",
		Short: "Report every problem of a spec and write nothing",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := o.read(c.Context(), o.lookAtSecrets)
			return err
		},
	}
	o.specFlags(c)
	return c
}
