// Command rendezvous runs on control planes: it serves the rendezvous, and is the agent that a control plane's
// bootstrap runs kubeadm under. Only this package knows flags and exit codes; the packages below internal/rendezvous do
// the work.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"muster/internal/rendezvous/client"
	"muster/internal/rendezvous/config"
)

const usage = `usage: rendezvous COMMAND [--config FILE] ...

  serve                    serve the rendezvous on this control plane until SIGTERM
  init -- KUBEADM...       run kubeadm init under the init lease; exit 10: another control plane's init stands, join it
  join -- KUBEADM...       join as a further control plane: certificates, discovery file, kubeadm join under the join lease
  progress STEP [ERROR]    tell the rendezvous, and whoever looks at status, what this node does
  status [--json]          show all nodes, steps and errors

The file is ` + config.Path + ` unless --config names another. docs/rendezvous-api.md describes the service.
`

// The exit codes. exitJoin is for the bootstrap script.
const (
	exitGood  = 0
	exitUsage = 2
	exitError = 3
	exitJoin  = 10
)

// errUsage ends with the usage text, errJoin with exitJoin.
var (
	errUsage = errors.New("wrong usage")
	errJoin  = errors.New("another control plane's init stands")
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], clock{}, os.Stdout, os.Stderr))
}

// clock is what leases are measured and waited by. The zero one is the machine's.
type clock struct {
	now   func() time.Time
	sleep func(ctx context.Context, d time.Duration) error
}

func run(ctx context.Context, args []string, c clock, stdout, stderr io.Writer) int {
	err := command(ctx, args, c, stdout, stderr)
	switch {
	case err == nil:
		return exitGood
	case errors.Is(err, errJoin):
		return exitJoin
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		return exitGood
	case errors.Is(err, errUsage):
		fmt.Fprint(stderr, usage)
		return exitUsage
	}
	fmt.Fprintf(stderr, "rendezvous: %v\n", err)
	return exitError
}

// command runs the one command that the arguments name.
func command(ctx context.Context, args []string, clock clock, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	if args[0] == "--help" || args[0] == "-h" || args[0] == "help" {
		return flag.ErrHelp
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	file := flags.String("config", config.Path, "")
	asJSON := false
	if args[0] == "status" {
		flags.BoolVar(&asJSON, "json", false, "")
	}
	if err := flags.Parse(args[1:]); errors.Is(err, flag.ErrHelp) {
		return err
	} else if err != nil {
		fmt.Fprintf(stderr, "rendezvous: %v\n", err)
		return errUsage
	}
	rest := flags.Args()
	commands := map[string]struct {
		least, most int
		run         func(cfg config.Config) error
	}{
		"serve":    {0, 0, func(cfg config.Config) error { return serve(ctx, cfg, clock, stderr) }},
		"init":     {1, 1 << 10, func(cfg config.Config) error { return runInit(ctx, cfg, clock, rest, stdout) }},
		"join":     {1, 1 << 10, func(cfg config.Config) error { return runJoin(ctx, cfg, clock, rest, stdout) }},
		"progress": {1, 2, func(cfg config.Config) error { return progress(ctx, cfg, rest) }},
		"status":   {0, 0, func(cfg config.Config) error { return status(ctx, cfg, asJSON, stdout) }},
	}
	c, ok := commands[args[0]]
	if !ok || len(rest) < c.least || len(rest) > c.most {
		return errUsage
	}
	cfg, err := config.Load(*file)
	if err != nil {
		return err
	}
	return c.run(cfg)
}

// credentials are what the service and the agent are known by.
type credentials struct {
	ca   *x509.Certificate
	pair tls.Certificate
}

func load(cfg config.Config) (credentials, error) {
	data, err := os.ReadFile(cfg.CA)
	if err != nil {
		return credentials{}, fmt.Errorf("the rendezvous CA: %w", err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return credentials{}, fmt.Errorf("%s: no certificate in PEM", cfg.CA)
	}
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return credentials{}, fmt.Errorf("%s: %w", cfg.CA, err)
	}
	pair, err := tls.LoadX509KeyPair(cfg.Certificate, cfg.Key)
	if err != nil {
		return credentials{}, fmt.Errorf("the credential of this control plane: %w", err)
	}
	return credentials{ca: ca, pair: pair}, nil
}

// client talks to all control planes, this one first.
func (c credentials) client(cfg config.Config) (*client.Client, error) {
	return client.New(client.Config{Servers: cfg.Servers(), Cluster: cfg.Cluster, CA: c.ca, Certificate: c.pair})
}

// peer talks to one other control plane, and to nobody else who may have its address.
func (c credentials) peer(cfg config.Config, p config.ControlPlane) (*client.Client, error) {
	return client.New(client.Config{Servers: []string{cfg.API(p)}, Cluster: cfg.Cluster, CA: c.ca, Certificate: c.pair, Peer: p.Name})
}
