package main

import (
	"github.com/spf13/cobra"

	"muster/internal/spec"
)

func (o *options) schema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of a spec, for editors",
		Long: `schema prints the JSON Schema of a spec (draft 7), with which an editor completes, explains and checks a spec while
it is written. Editors that use yaml-language-server take it from a first line in the spec:

  gen schema >cluster.schema.json
  # yaml-language-server: $schema=cluster.schema.json

The schema knows the shape of a spec; gen check also knows what it means.`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			_, err := o.stdout.Write(spec.JSONSchema)
			return err
		},
	}
}
