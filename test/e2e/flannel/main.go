// Command flanneld is flannel's daemon made of flannel's own packages: the subnet manager that asks Kubernetes, the VXLAN and host-gw backends, and
// the iptables rules. It takes the flags that our manifest passes. The published program links the backends of clouds and of WireGuard besides,
// which no test uses and which are most of what would have to be compiled.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/big"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/flannel-io/flannel/pkg/backend"
	_ "github.com/flannel-io/flannel/pkg/backend/hostgw"
	_ "github.com/flannel-io/flannel/pkg/backend/vxlan"
	"github.com/flannel-io/flannel/pkg/ip"
	"github.com/flannel-io/flannel/pkg/ipmatch"
	"github.com/flannel-io/flannel/pkg/subnet"
	"github.com/flannel-io/flannel/pkg/subnet/kube"
	"github.com/flannel-io/flannel/pkg/trafficmngr/iptables"
	"k8s.io/klog/v2"
)

const (
	subnetFile    = "/run/flannel/subnet.env"
	networkConfig = "/etc/kube-flannel/net-conf.json"
	resyncSeconds = 5
)

func main() {
	klog.InitFlags(nil)
	masquerade := flag.Bool("ip-masq", false, "hide pods behind the node's address outside of the pod network")
	fromKubernetes := flag.Bool("kube-subnet-mgr", false, "take the node's subnet from Kubernetes")
	name := flag.String("iface", "", "the interface between the nodes; without it that of the default route")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if !*fromKubernetes {
		klog.Exit("this build of flanneld knows Kubernetes only: pass --kube-subnet-mgr")
	}
	if err := run(ctx, *name, *masquerade); err != nil {
		klog.Exit(err)
	}
}

// run registers this node's subnet, makes its routes and rules, and keeps them until ctx ends.
func run(ctx context.Context, name string, masquerade bool) error {
	manager, err := kube.NewSubnetManager(ctx, "", "", "flannel.alpha.coreos.com", networkConfig, true)
	if err != nil {
		return fmt.Errorf("cannot ask Kubernetes for subnets: %w", err)
	}
	config, err := manager.GetNetworkConfig(ctx)
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", networkConfig, err)
	}
	outer, err := outerInterface(ctx, manager, config, name)
	if err != nil {
		return err
	}
	var running sync.WaitGroup
	network, err := register(ctx, &running, manager, config, outer)
	if err != nil {
		return err
	}
	if err := rules(ctx, config, network, masquerade); err != nil {
		return err
	}
	lease := network.Lease()
	if err := manager.HandleSubnetFile(subnetFile, config, masquerade, lease.Subnet, lease.IPv6Subnet, network.MTU()); err != nil {
		return fmt.Errorf("cannot write %s: %w", subnetFile, err)
	}
	running.Go(func() { network.Run(ctx) })
	if err := manager.CompleteLease(ctx, lease, &running); err != nil {
		return fmt.Errorf("cannot complete the lease of %s: %w", lease.Subnet, err)
	}
	running.Wait()
	return nil
}

// outerInterface is the interface that the other nodes reach this one by.
func outerInterface(ctx context.Context, manager subnet.Manager, config *subnet.Config, name string) (*backend.ExternalInterface, error) {
	stack, err := ipmatch.GetIPFamily(config.EnableIPv4, config.EnableIPv6)
	if err != nil {
		return nil, err
	}
	var public ipmatch.PublicIPOpts
	public.PublicIP, public.PublicIPv6 = manager.GetStoredPublicIP(ctx)
	outer, err := ipmatch.LookupExtIface(name, "", "", stack, public)
	if err != nil {
		return nil, fmt.Errorf("cannot find the interface %q: %w", name, err)
	}
	return outer, nil
}

func register(ctx context.Context, running *sync.WaitGroup, manager subnet.Manager, config *subnet.Config, outer *backend.ExternalInterface) (backend.Network, error) {
	kind, err := backend.NewManager(ctx, manager, outer).GetBackend(config.BackendType)
	if err != nil {
		return nil, fmt.Errorf("backend %s: %w", config.BackendType, err)
	}
	network, err := kind.RegisterNetwork(ctx, running, config)
	if err != nil {
		return nil, fmt.Errorf("backend %s: %w", config.BackendType, err)
	}
	return network, nil
}

// rules lets pods out, and packets through this node to them. No subnet from before a restart has to be cleaned up: Kubernetes never changes
// a node's.
func rules(ctx context.Context, config *subnet.Config, network backend.Network, masquerade bool) error {
	var manager iptables.IPTablesManager
	if err := manager.Init(ctx); err != nil {
		return fmt.Errorf("cannot prepare iptables: %w", err)
	}
	if masquerade {
		none := ip.IP6Net{IP: (*ip.IP6)(big.NewInt(0))}
		err := manager.SetupAndEnsureMasqRules(ctx, config.Network, ip.IP4Net{}, ip.IP4Net{}, config.IPv6Network, none, none, network.Lease(), resyncSeconds, false)
		if err != nil {
			return fmt.Errorf("cannot set the masquerading rules: %w", err)
		}
	}
	manager.SetupAndEnsureForwardRules(ctx, config.Network, config.IPv6Network, resyncSeconds)
	return nil
}
