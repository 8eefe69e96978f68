package main

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"muster/internal/kube"
	"muster/internal/problem"
	"muster/profiles"
)

func (o *options) profiles() *cobra.Command {
	return &cobra.Command{
		Use:   "profiles [NAME [VERSION]]",
		Short: "List the built-in profiles with the Kubernetes versions that they fit, or show one of them",
		Long: `profiles lists the built-in profiles: operating systems with a container runtime. With a NAME it shows that profile's
file in full, which is also what a profile of your own starts from; with a VERSION of Kubernetes as well, the file with
that version filled in: the packages and sources that machines would use.

  gen profiles
  gen profiles debian12-containerd >mine.yaml
  gen profiles centos7-docker v1.17.4`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 2 {
				return wrongUsage("profiles takes a name and a version, not %d words", len(args))
			}
			return nil
		},
		ValidArgsFunction: completeProfiles,
		RunE: func(_ *cobra.Command, args []string) error {
			switch len(args) {
			case 0:
				return o.listProfiles()
			case 1:
				return o.showProfile(args[0], "")
			default:
				return o.showProfile(args[0], args[1])
			}
		},
	}
}

func (o *options) listProfiles() error {
	w := tabwriter.NewWriter(o.stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tFORMAT\tRUNTIME\tKUBERNETES\tDEFAULT\tDESCRIPTION")
	for _, name := range profiles.Names(profiles.Builtin) {
		p, _, err := builtinProfile(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s-%s\t%s\t%s\n", name, p.Format.V, p.Runtime.V, p.Kubernetes.Min.V, p.Kubernetes.Max.V, p.Kubernetes.Default.V, p.Description.V)
	}
	return w.Flush()
}

// builtinProfile returns a built-in profile and its file.
func builtinProfile(name string) (*profiles.Profile, []byte, error) {
	names := profiles.Names(profiles.Builtin)
	if !slices.Contains(names, name) {
		if near := problem.Nearest(name, names); near != "" {
			return nil, nil, wrongUsage("there is no profile %q, did you mean %s?", name, near)
		}
		return nil, nil, wrongUsage("there is no profile %q, only %s", name, strings.Join(names, ", "))
	}
	data, err := fs.ReadFile(profiles.Builtin, name+".yaml")
	if err != nil {
		return nil, nil, err
	}
	var problems problem.List
	p := profiles.Read(data, name+".yaml", &problems)
	if found := problems.Sorted(); len(found) > 0 {
		return nil, nil, fmt.Errorf("built-in profile: %s", found[0])
	}
	return p, data, nil
}

// showProfile prints a profile's file as it is, or with a version in the places that wait for one.
func (o *options) showProfile(name, text string) error {
	p, data, err := builtinProfile(name)
	if err != nil {
		return err
	}
	if text != "" {
		version, err := kube.Parse(text)
		if err != nil {
			return wrongUsage("%v", err)
		}
		if pinned := pinnedVersions(p); len(pinned) > 0 && !slices.Contains(pinned, text) {
			return wrongUsage("%s has digests of %s only, not of %s", name, strings.Join(pinned, ", "), text)
		}
		if !version.Between(kube.MinorOf(p.Kubernetes.Min.V), kube.MinorOf(p.Kubernetes.Max.V)) {
			return wrongUsage("%s fits Kubernetes %s to %s, not %s", name, p.Kubernetes.Min.V, p.Kubernetes.Max.V, text)
		}
		data = []byte(strings.NewReplacer("{version}", version.Number(), "{minor}", version.MinorNumber()).Replace(string(data)))
	}
	_, err = o.stdout.Write(data)
	return err
}

// pinnedVersions are the only versions of a profile that fetches programs by digest.
func pinnedVersions(p *profiles.Profile) []string {
	var versions []string
	for _, e := range p.Binaries.Entries {
		versions = append(versions, e.Key)
	}
	return versions
}
