package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"muster/internal/problem"
)

// normalise turns -spec into --spec: pflag reads a single dash as a bundle of one-letter flags, and would take -spec
// apart. A word behind a flag that takes a value is that value and stays as it is.
func normalise(root *cobra.Command, args []string) ([]string, error) {
	known := flagsOf(root)
	out := make([]string, 0, len(args))
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			return append(out, args[i:]...), nil
		}
		if !strings.HasPrefix(arg, "-") || arg == "-" || arg == "-h" {
			out = append(out, arg)
			continue
		}
		name, _, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		flag, ok := known[name]
		if !ok {
			return nil, unknownFlag(arg, name, known)
		}
		out = append(out, "--"+strings.TrimLeft(arg, "-"))
		if takesValue := flag.NoOptDefVal == ""; takesValue && !hasValue && i+1 < len(args) {
			i++
			out = append(out, args[i])
		}
	}
	return out, nil
}

func unknownFlag(arg, name string, known map[string]*pflag.Flag) error {
	typed, _, _ := strings.Cut(arg, "=")
	var names []string
	for n := range known {
		names = append(names, n)
	}
	if near := problem.Nearest(name, names); near != "" {
		return wrongUsage("unknown flag %s, did you mean -%s?", typed, near)
	}
	return wrongUsage("unknown flag %s", typed)
}

// flagsOf lists the flags of a command and of all below it by name; one name means the same in all of them.
func flagsOf(c *cobra.Command) map[string]*pflag.Flag {
	known := map[string]*pflag.Flag{}
	add := func(f *pflag.Flag) { known[f.Name] = f }
	c.Flags().VisitAll(add)
	c.PersistentFlags().VisitAll(add)
	for _, sub := range c.Commands() {
		for name, f := range flagsOf(sub) {
			known[name] = f
		}
	}
	return known
}
