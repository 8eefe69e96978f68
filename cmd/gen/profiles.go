package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"muster/internal/problem"
	"muster/profiles"
)

func (o *options) profiles() *cobra.Command {
	return &cobra.Command{
		Use:   "profiles",
		Short: "List the built-in profiles with the Kubernetes versions that they fit",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			w := tabwriter.NewWriter(o.stdout, 0, 4, 2, ' ', 0)
			fmt.Fprintln(w, "NAME\tFORMAT\tRUNTIME\tKUBERNETES\tDEFAULT\tDESCRIPTION")
			for _, name := range profiles.Names(profiles.Builtin) {
				data, err := profiles.Builtin.ReadFile(name + ".yaml")
				if err != nil {
					return err
				}
				var problems problem.List
				p := profiles.Read(data, name+".yaml", &problems)
				if found := problems.Sorted(); len(found) > 0 {
					return fmt.Errorf("built-in profile: %s", found[0])
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s-%s\t%s\t%s\n", name, p.Format.V, p.Runtime.V, p.Kubernetes.Min.V, p.Kubernetes.Max.V, p.Kubernetes.Default.V, p.Description.V)
			}
			return w.Flush()
		},
	}
}
