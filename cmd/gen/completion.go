package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"muster/internal/kube"
	"muster/profiles"
)

// isCompletion tells whether a shell asks what may follow the words behind the first one; the last is unfinished.
func isCompletion(args []string) bool {
	return len(args) > 1 && (args[0] == cobra.ShellCompRequestCmd || args[0] == cobra.ShellCompNoDescRequestCmd)
}

// answerCompletion lets cobra answer a shell. cobra knows flags with two dashes only; shells drop what does not start
// like the word at hand, so a word with one dash gets answers with one.
func (o *options) answerCompletion(ctx context.Context, root *cobra.Command, args []string) error {
	words, last := args[1:len(args)-1], args[len(args)-1]
	if normal, err := normalise(root, words); err == nil {
		words = normal // else cobra itself finds the mistake, and offers nothing
	}
	oneDash := strings.HasPrefix(last, "-") && !strings.HasPrefix(last, "--")
	if oneDash {
		last = "-" + last
	}
	var answer bytes.Buffer
	root.SetOut(&answer)
	root.SetArgs(append(append([]string{args[0]}, words...), last))
	if err := root.ExecuteContext(ctx); err != nil {
		return err
	}
	for line := range strings.Lines(answer.String()) {
		if oneDash && strings.HasPrefix(line, "--") {
			line = line[1:]
		}
		if _, err := fmt.Fprint(o.stdout, line); err != nil {
			return err
		}
	}
	return nil
}

// offerCompletions says for a command and all below it what may follow its flags, and that nothing else follows
// where no command has said what does.
func offerCompletions(c *cobra.Command) {
	if c.Flags().Lookup("out") != nil {
		_ = c.MarkFlagDirname("out") // the flag exists
	}
	if c.Flags().Lookup("format") != nil {
		_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]cobra.Completion{"text", "json"}, cobra.ShellCompDirectiveNoFileComp)) // the flag exists
	}
	if c.ValidArgsFunction == nil && !strings.Contains(c.Use, "FILE") {
		c.ValidArgsFunction = cobra.NoFileCompletions
	}
	for _, sub := range c.Commands() {
		offerCompletions(sub)
	}
}

// completeProfiles offers the built-in profiles, and behind a profile the versions that it fits: those that it pins, or
// its default and each minor version up to the patch, since packages come in any.
func completeProfiles(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var offered []cobra.Completion
	if len(args) == 0 {
		for _, name := range profiles.Names(profiles.Builtin) {
			p, _, err := builtinProfile(name)
			if err != nil {
				return nil, cobra.ShellCompDirectiveError
			}
			offered = append(offered, cobra.CompletionWithDesc(name, p.Description.V))
		}
		return offered, cobra.ShellCompDirectiveNoFileComp
	}
	p, _, err := builtinProfile(args[0])
	if err != nil || len(args) > 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	if pinned := pinnedVersions(p); len(pinned) > 0 {
		return pinned, cobra.ShellCompDirectiveNoFileComp
	}
	offered = append(offered, cobra.CompletionWithDesc(p.Kubernetes.Default.V, "the profile's default"))
	for minor := kube.MinorOf(p.Kubernetes.Min.V); minor <= kube.MinorOf(p.Kubernetes.Max.V); minor++ {
		offered = append(offered, fmt.Sprintf("v1.%d.", minor))
	}
	return offered, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}
