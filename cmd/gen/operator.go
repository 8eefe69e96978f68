package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"muster/internal/generate"
	"muster/internal/problem"
	"muster/internal/rendezvous"
	"muster/internal/rendezvous/client"
	"muster/internal/secrets"
	"muster/internal/secrets/credential"
	"muster/internal/spec"
)

// The commands below are the only ones that speak with a running cluster: with its rendezvous, as the operator.

func (o *options) status() *cobra.Command {
	c := &cobra.Command{
		Use:   "status -spec cluster.yaml",
		Short: "Ask the cluster's rendezvous how far each machine of the spec has come",
		Long: `status asks the rendezvous on the control planes how far each machine has come: its step, since when, and what failed
last. Machines of the spec that have not been heard of are shown too. It needs the secrets bundle that the documents
were made with.

Exit codes: 0 good, 1 the spec has problems, 2 wrong usage, 3 no control plane answered, or anything else.`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return o.showStatus(c.Context()) },
	}
	o.specFlags(c)
	c.Flags().Lookup("format").Usage = "how the status is written: text or json"
	return c
}

func (o *options) showStatus(ctx context.Context) error {
	api, cluster, err := o.operator()
	if err != nil {
		return err
	}
	defer api.Close()
	report, err := api.Status(ctx)
	if err != nil {
		return err
	}
	report.Nodes = append(report.Nodes, unheard(cluster, report.Nodes)...)
	if o.format == "json" {
		return o.encode(report)
	}
	return report.WriteTable(o.stdout)
}

// unheard are the nodes of the spec that the rendezvous knows nothing of.
func unheard(cluster *spec.Cluster, known []rendezvous.Node) []rendezvous.Node {
	var out []rendezvous.Node
	for _, n := range cluster.Spec.Nodes.Items {
		if !slices.ContainsFunc(known, func(k rendezvous.Node) bool { return k.Name == n.Name.V }) {
			out = append(out, rendezvous.Node{Name: n.Name.V, Role: credential.Role(n.Role.V), Step: "not heard of yet"})
		}
	}
	return out
}

func (o *options) reopen() *cobra.Command {
	c := &cobra.Command{
		Use:   "reopen -spec cluster.yaml NODE",
		Short: "Let a machine with the document of NODE join once more, after it was reinstalled",
		Long: `reopen makes the credential of one node worth one more enrolment. What is left of the node's old life goes first: its
tokens, its Node object and, of a control plane, its members of etcd and of the rendezvous' store. No other node is
touched. NODE is a name of the spec, or the name that a machine of a pool has in the cluster.

Exit codes: 0 good, 1 the spec has problems, 2 wrong usage, 3 the rendezvous refused or did not answer.`,
		RunE: func(c *cobra.Command, args []string) error {
			return o.operate(c.Context(), args, "reopened", func(ctx context.Context, api *client.Client, _ *spec.Cluster, name string) error {
				return api.Reopen(ctx, name)
			})
		},
	}
	o.specFlags(c)
	return c
}

func (o *options) revoke() *cobra.Command {
	c := &cobra.Command{
		Use:   "revoke -spec cluster.yaml NODE|POOL",
		Short: "Take the credential of a node or pool back, when its document has leaked",
		Long: `revoke takes the credential of one node, or of one pool of the spec, back: nothing joins with it any more, until gen
reopen. A node that has joined stays in the cluster, and taking it out is kubectl's; a control plane leaves the store of
the rendezvous. No other node is touched. NODE need not be in the spec any more.

Exit codes: 0 good, 1 the spec has problems, 2 wrong usage, 3 the rendezvous refused or did not answer.`,
		RunE: func(c *cobra.Command, args []string) error {
			return o.operate(c.Context(), args, "revoked", func(ctx context.Context, api *client.Client, cluster *spec.Cluster, name string) error {
				if slices.ContainsFunc(cluster.Spec.Pools.Items, func(p spec.Pool) bool { return p.Name.V == name }) {
					return api.RevokePool(ctx, name)
				}
				return api.RevokeNode(ctx, name)
			})
		},
	}
	o.specFlags(c)
	return c
}

// operate does one thing to one node.
func (o *options) operate(ctx context.Context, args []string, did string, do func(context.Context, *client.Client, *spec.Cluster, string) error) error {
	if len(args) != 1 {
		return wrongUsage("name one node, not %d", len(args))
	}
	api, cluster, err := o.operator()
	if err != nil {
		return err
	}
	defer api.Close()
	if err := do(ctx, api, cluster, args[0]); err != nil {
		return err
	}
	fmt.Fprintf(o.stderr, "gen: %s is %s\n", args[0], did)
	return nil
}

// operator is a client of the cluster's rendezvous with the operator's credential, and the spec that names the cluster.
func (o *options) operator() (*client.Client, *spec.Cluster, error) {
	result, err := o.aside().reported(func(problems *problem.List) (*generate.Result, error) { return generate.Read(o.spec, problems) })
	if err != nil {
		return nil, nil, err
	}
	bundle, err := secrets.Load(o.secretsFile())
	if err != nil {
		return nil, nil, fmt.Errorf("the secrets bundle that the cluster was made with is needed: %w", err)
	}
	cluster := result.Cluster
	authority, err := bundle.Authority(cluster.Metadata.Name.V)
	if err != nil {
		return nil, nil, err
	}
	cfg := client.Config{Cluster: cluster.Metadata.Name.V}
	for _, n := range cluster.ControlPlanes() {
		cfg.Servers = append(cfg.Servers, net.JoinHostPort(n.Address.V, strconv.Itoa(cluster.Spec.Rendezvous.Port.V)))
	}
	block, _ := pem.Decode(authority.Certificate())
	if block == nil {
		return nil, nil, errors.New("the rendezvous CA is no PEM")
	}
	if cfg.CA, err = x509.ParseCertificate(block.Bytes); err != nil {
		return nil, nil, err
	}
	pair, err := authority.Operator()
	if err != nil {
		return nil, nil, err
	}
	if cfg.Certificate, err = pair.TLS(); err != nil {
		return nil, nil, err
	}
	api, err := client.New(cfg)
	return api, cluster, err
}
