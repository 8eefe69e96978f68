package spec

import (
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"

	"muster/internal/problem"
)

var (
	nodeTargetRules = []func(*validator, Target){ruleNodeName, ruleNodeNameLength, rulePoolName, ruleAliasName, ruleMACSyntax, ruleMACUnicast,
		ruleDisk, ruleDiskNetBoot, ruleProfileNamed, ruleProfileKnown, rulePoolSize, rulePoolEnd, rulePoolNetwork, ruleLabelKey, ruleLabelValue,
		ruleKubeletLabel, ruleTaintKey, ruleTaintValue, ruleTaintTwice}
	nodeClusterRules = []func(*validator){ruleClusterName, ruleSomeNode, ruleSomeControlPlane, ruleEvenControlPlanes, ruleNameTwice, ruleMACTwice, ruleEndpointName}
)

// The shapes of names that Kubernetes has: RFC 1123 labels and subdomains, and qualified names (labels, taints).
var (
	dnsLabel      = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
	qualifiedName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)
)

// Limits of names, in characters.
const (
	maxLabel     = 63
	maxSubdomain = 253
	// maxNodeName is less than Linux's hostnames have (64): the kubelet makes a label of the name.
	maxNodeName = 63
)

// isSubdomain reports whether a name is a DNS-1123 subdomain: labels with dots between them.
func isSubdomain(name string) bool {
	if len(name) > maxSubdomain {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if len(label) > maxLabel || !dnsLabel.MatchString(label) {
			return false
		}
	}
	return true
}

// subdomainMistake tells what keeps a name from being a DNS-1123 subdomain, and what to write; empty if it is one.
func subdomainMistake(name string) (what, instead string) {
	lower, bare := strings.ToLower(name), strings.Trim(name, ".")
	dashed := strings.ReplaceAll(lower, "_", "-")
	long := slices.IndexFunc(strings.Split(name, "."), func(label string) bool { return len(label) > maxLabel })
	switch {
	case isSubdomain(name):
		return "", ""
	case len(name) > maxSubdomain:
		return fmt.Sprintf("a DNS name has at most %d characters, this has %d", maxSubdomain, len(name)), "write a shorter name"
	case long >= 0:
		label := strings.Split(name, ".")[long]
		return fmt.Sprintf("a part of a DNS name has at most %d characters, %.20s... has %d", maxLabel, label, len(label)), "write a shorter name"
	case isSubdomain(lower):
		return "a DNS name has no upper case letters", "write " + lower
	case isSubdomain(dashed):
		return "a DNS name has no underscores", "write " + dashed
	case isSubdomain(bare):
		return "a DNS name neither starts nor ends with a dot here", "write " + bare
	default:
		return fmt.Sprintf("%q is no DNS name", name), "write lower case letters, digits and dashes, with a letter or digit at both ends"
	}
}

// labelMistake is subdomainMistake for a name of one label.
func labelMistake(name string) (what, instead string) {
	if isSubdomain(name) && strings.Contains(name, ".") {
		return "this name has no dots", "write " + strings.ReplaceAll(name, ".", "-")
	}
	what, instead = subdomainMistake(name)
	dashed := strings.Trim(wordBreaks.ReplaceAllString(strings.ToLower(name), "-"), "-")
	if what != "" && len(dashed) <= maxLabel && dnsLabel.MatchString(dashed) {
		instead = "write " + dashed
	}
	return what, instead
}

// wordBreaks are what stands between the words of a name that was meant for people.
var wordBreaks = regexp.MustCompile(`[ ._-]+`)

// Rule: metadata.name is a DNS-1123 label.
func ruleClusterName(v *validator) {
	if name := v.Metadata.Name; name.Set {
		if what, instead := labelMistake(name.V); what != "" {
			v.errorf(name.At, instead, "%s", what)
		}
	}
}

// Rule: kubernetes.clusterName can stand in the name api.<clusterName>.muster, where that is the endpoint.
func ruleEndpointName(v *validator) {
	k := v.Spec.Kubernetes
	if !k.ClusterName.Known() || !v.ownEndpoint() {
		return
	}
	if what, instead := subdomainMistake(k.ClusterName.V); what != "" {
		v.errorf(k.ClusterName.At, instead+", or set controlPlaneEndpoint", "it is part of the endpoint's name, and %s", what)
	}
}

// itself are the names by which each machine's /etc/hosts calls the machine itself.
var itself = []string{"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"}

// meansItself reports whether a name is one for whatever machine looks it up: systemd answers for all below localhost (RFC 6761).
func meansItself(name string) bool {
	return slices.Contains(itself, name) || strings.HasSuffix(name, ".localhost") || strings.HasSuffix(name, ".localhost.localdomain")
}

// Rule: a node's name is a DNS-1123 subdomain, and none by which every machine calls itself, such as localhost.
func ruleNodeName(v *validator, t Target) {
	if t.Node == nil || !t.Name.Set {
		return
	}
	switch {
	case ipv4Like(t.Name.V):
		v.errorf(t.Name.At, "write a name that starts with a letter", "%q is an address, not a name", t.Name.V)
		return
	case meansItself(t.Name.V):
		v.errorf(t.Name.At, "write another name", "%s is each machine's name for itself", t.Name.V)
		return
	}
	if what, instead := subdomainMistake(t.Name.V); what != "" {
		v.errorf(t.Name.At, instead, "%s", what)
	}
}

// Rule: a node's name fits into a Linux hostname and into the value of the label kubernetes.io/hostname.
func ruleNodeNameLength(v *validator, t Target) {
	if t.Node != nil && len(t.Name.V) > maxNodeName {
		v.errorf(t.Name.At, "write a shorter name", "a node's name becomes the label kubernetes.io/hostname and has at most %d characters, this has %d", maxNodeName, len(t.Name.V))
	}
}

// Rule: a pool's name is a DNS-1123 label.
func rulePoolName(v *validator, t Target) {
	if t.Pool == nil || !t.Name.Set {
		return
	}
	if what, instead := labelMistake(t.Name.V); what != "" {
		v.errorf(t.Name.At, instead, "%s", what)
	}
}

// Rule: an alias is a DNS-1123 subdomain, since it becomes a name in every /etc/hosts, and none that means something
// else there.
func ruleAliasName(v *validator, t Target) {
	if t.Node == nil {
		return
	}
	for _, alias := range t.Node.Aliases.Items {
		switch what, instead := subdomainMistake(alias.V); {
		case !alias.Set:
		case what != "":
			v.errorf(alias.At, instead, "%s", what)
		case meansItself(alias.V) || ipv4Like(alias.V):
			v.errorf(alias.At, "write another name", "%s stands for an address already", alias.V)
		}
	}
}

// Rule: a MAC address is six pairs of hexadecimal digits in lower case with colons, the form in which PXE scripts and
// network configurations are looked up.
func ruleMACSyntax(v *validator, t Target) {
	if t.Node != nil {
		v.checkMAC(t.Node.MAC)
	}
}

func (v *validator) checkMAC(mac Value[string]) {
	parsed, err := net.ParseMAC(mac.V)
	switch {
	case !mac.Set:
	case err != nil || len(parsed) != 6:
		v.errorf(mac.At, "write it like 52:54:00:12:34:56", "%q is no MAC address", mac.V)
	case parsed.String() != mac.V:
		v.errorf(mac.At, "write "+parsed.String(), "a MAC address is written in lower case with colons")
	}
}

// Rule: a MAC address is one of a single interface: neither multicast nor all zero.
func ruleMACUnicast(v *validator, t Target) {
	if t.Node != nil {
		v.checkUnicast(t.Node.MAC, "write the interface's own address, or leave mac out")
	}
}

func (v *validator) checkUnicast(mac Value[string], instead string) {
	parsed, err := net.ParseMAC(mac.V)
	switch {
	case !mac.Set:
	case err != nil || len(parsed) != 6: // refused by ruleMACSyntax
	case parsed[0]&1 == 1:
		v.errorf(mac.At, "write the interface's own address; the first pair of one is even", "%s is a multicast address", mac.V)
	case slices.Equal(parsed, make(net.HardwareAddr, 6)):
		v.errorf(mac.At, instead, "no interface has the address %s", mac.V)
	}
}

var devicePath = regexp.MustCompile(`^/dev/[A-Za-z0-9][A-Za-z0-9._:+-]*(/[A-Za-z0-9][A-Za-z0-9._:+-]*)*$`)

// Rule: a disk is a device below /dev.
func ruleDisk(v *validator, t Target) {
	if t.Node != nil && t.Node.Disk.Set && !devicePath.MatchString(t.Node.Disk.V) {
		v.errorf(t.Node.Disk.At, "write a device such as /dev/vda or /dev/disk/by-id/...", "%q is no device", t.Node.Disk.V)
	}
}

// Rule: a disk is for nodes that boot over the network, which have a mac in a spec with pxe.
func ruleDiskNetBoot(v *validator, t Target) {
	if t.Node != nil && t.Node.Disk.Set && !(v.Spec.PXE.BaseURL.Set && t.Node.MAC.Set) {
		v.warnf(t.Node.Disk.At, "set pxe.baseURL and the node's mac, or leave the disk out", "nothing reads it: only an installer that boots over the network writes to a disk")
	}
}

// Rule: every node and pool has a profile, its own, its role's or the cluster's.
func ruleProfileNamed(v *validator, t Target) {
	if !t.Profile.Set && !t.Profile.Known() {
		v.errorf(below(v.Spec.At, "profile"), "write for example profile: debian12-containerd", "is missing, and %s has none of its own", t.Name.V)
	}
}

// Rule: a profile is a built-in one, or the path of a YAML file that starts with ./, ../ or /.
func ruleProfileKnown(v *validator, t Target) {
	p := t.Profile
	switch _, known := v.facts.Profiles[p.V]; {
	case !p.Set || known:
	case ProfileIsPath(p.V) && strings.HasSuffix(p.V, ".yaml"): // its reader reports why it is not known
	case ProfileIsPath(p.V):
		v.errorf(p.At, "give the file a name that ends in .yaml", "a profile's file name ends in .yaml")
	case strings.ContainsAny(p.V, "/") || strings.HasSuffix(p.V, ".yaml"):
		v.errorf(p.At, "write ./"+p.V, "a profile's path starts with ./, ../ or /")
	default:
		v.errorf(p.At, v.oneOf(p.V, v.facts.Builtin), "there is no profile %q", p.V)
	}
}

// oneOf tells which name was probably meant, or all that there are.
func (v *validator) oneOf(word string, names []string) string {
	if near := problem.Nearest(word, names); near != "" {
		return "did you mean " + near + "?"
	}
	return "write one of " + strings.Join(names, ", ")
}

// maxPoolNodes is the number of nodes up to which Kubernetes is built to scale.
const maxPoolNodes = 5000

// Rule: maxNodes is 1 to 5000, the largest cluster that Kubernetes is made for.
func rulePoolSize(v *validator, t Target) {
	if t.Pool != nil && t.Pool.MaxNodes.Set && (t.Pool.MaxNodes.V < 1 || t.Pool.MaxNodes.V > maxPoolNodes) {
		v.errorf(t.Pool.MaxNodes.At, fmt.Sprintf("write 1 to %d", maxPoolNodes), "%d machines cannot join", t.Pool.MaxNodes.V)
	}
}

// Rule: joinUntil is a moment in RFC 3339.
func rulePoolEnd(v *validator, t Target) {
	if t.Pool == nil || !t.Pool.JoinUntil.Set {
		return
	}
	if _, err := time.Parse(time.RFC3339, t.Pool.JoinUntil.V); err != nil {
		v.errorf(t.Pool.JoinUntil.At, "write it like 2027-12-31T00:00:00Z, in quotes", "%q is no moment in RFC 3339", t.Pool.JoinUntil.V)
	}
}

// Rule: a pool has no static network of its own: its machines share one document and would share the address.
func rulePoolNetwork(v *validator, t Target) {
	if t.Pool != nil && t.Pool.Network.Known() {
		v.errorf(t.Pool.Network.At, "leave it out; a pool's machines use DHCP", "a pool's machines cannot share a static network configuration")
	}
}

// qualifiedMistake tells what keeps a key of a label or taint from being PREFIX/NAME or NAME.
func qualifiedMistake(key string) (what, instead string) {
	prefix, name, prefixed := strings.Cut(key, "/")
	if !prefixed {
		prefix, name = "", key
	}
	switch what, _ := subdomainMistake(prefix); {
	case prefixed && what != "":
		return fmt.Sprintf("the part before the slash of %q is no DNS name", key), "write it like example.com/rack"
	case !qualifiedName.MatchString(name):
		return fmt.Sprintf("%q is no key", key), "write letters, digits, dashes, dots and underscores, with a letter or digit at both ends"
	case len(name) > maxLabel:
		return fmt.Sprintf("the name has %d characters, more than %d", len(name), maxLabel), "write a shorter key"
	}
	return "", ""
}

func labelValueFits(value string) bool {
	return value == "" || qualifiedName.MatchString(value) && len(value) <= maxLabel
}

// Rule: a label's key is a qualified name.
func ruleLabelKey(v *validator, t Target) {
	for _, label := range t.Labels.Entries {
		if what, instead := qualifiedMistake(label.Key); what != "" {
			v.errorf(label.At, instead, "%s", what)
		}
	}
}

// Rule: a label's value is empty or at most 63 letters, digits, dashes, dots and underscores.
func ruleLabelValue(v *validator, t Target) {
	for _, label := range t.Labels.Entries {
		if value := label.Value; value.Set && !labelValueFits(value.V) {
			v.errorf(value.At, "write at most 63 letters, digits, dashes, dots and underscores, with a letter or digit at both ends", "%.70q is no label value", value.V)
		}
	}
}

// kubeletLabels are the labels of Kubernetes' own domains that a kubelet may set on its node
// (the kubelet's --node-labels refuses the others).
var kubeletLabels = []string{
	"beta.kubernetes.io/arch", "beta.kubernetes.io/instance-type", "beta.kubernetes.io/os",
	"failure-domain.beta.kubernetes.io/region", "failure-domain.beta.kubernetes.io/zone",
	"kubernetes.io/arch", "kubernetes.io/hostname", "kubernetes.io/os",
	"node.kubernetes.io/instance-type", "topology.kubernetes.io/region", "topology.kubernetes.io/zone",
}

// inDomain reports whether a label's prefix is a domain or below it.
func inDomain(prefix, domain string) bool {
	return prefix == domain || strings.HasSuffix(prefix, "."+domain)
}

// Rule: a label of the domains kubernetes.io and k8s.io is one that a kubelet may set; with another one it does not
// start.
func ruleKubeletLabel(v *validator, t Target) {
	for _, label := range t.Labels.Entries {
		prefix, _, prefixed := strings.Cut(label.Key, "/")
		switch {
		case !prefixed || !inDomain(prefix, "kubernetes.io") && !inDomain(prefix, "k8s.io"):
		case slices.Contains(kubeletLabels, label.Key) || inDomain(prefix, "kubelet.kubernetes.io") || inDomain(prefix, "node.kubernetes.io"):
		case prefix == "node-role.kubernetes.io":
			v.errorf(label.At, "use a prefix of your own, or set it with kubectl label once the cluster stands; kubeadm labels control planes itself", "a kubelet may not set roles of its own node")
		default:
			v.errorf(label.At, "use a prefix of your own, or node.kubernetes.io/", "a kubelet may not set %s on its node", label.Key)
		}
	}
}

// Rule: a taint's key is a qualified name.
func ruleTaintKey(v *validator, t Target) {
	for _, taint := range t.Taints.Items {
		if !taint.Key.Set {
			continue
		}
		if what, instead := qualifiedMistake(taint.Key.V); what != "" {
			v.errorf(taint.Key.At, instead, "%s", what)
		}
	}
}

// Rule: a taint's value is a label's value.
func ruleTaintValue(v *validator, t Target) {
	for _, taint := range t.Taints.Items {
		if taint.Value.Set && !labelValueFits(taint.Value.V) {
			v.errorf(taint.Value.At, "write at most 63 letters, digits, dashes, dots and underscores, with a letter or digit at both ends", "%.70q is no taint value", taint.Value.V)
		}
	}
}

// Rule: a key and effect of taints stands once.
func ruleTaintTwice(v *validator, t Target) {
	first := map[[2]string]bool{}
	for _, taint := range t.Taints.Items {
		id := [2]string{taint.Key.V, taint.Effect.V}
		if taint.Key.Set && taint.Effect.Set && first[id] {
			v.errorf(taint.At, "keep one of the two", "a taint %s with effect %s stands before it", id[0], id[1])
		}
		first[id] = true
	}
}

// Rule: a cluster has nodes.
func ruleSomeNode(v *validator) {
	if len(v.Spec.Nodes.Items) == 0 {
		v.errorf(v.nodesPlace(), "write for example nodes: [{name: k8s-master, role: control-plane, address: 192.168.31.130}]", "a cluster needs nodes")
	}
}

func (v *validator) nodesPlace() At {
	if v.Spec.Nodes.Known() {
		return v.Spec.Nodes.At
	}
	return below(v.Spec.At, "nodes")
}

// Rule: at least one node is a control plane.
func ruleSomeControlPlane(v *validator) {
	if len(v.ControlPlanes()) > 0 || slices.ContainsFunc(v.Spec.Nodes.Items, func(n Node) bool { return n.Role.V != Worker }) {
		return // a role that could not be read may have been the control plane
	}
	v.errorf(v.nodesPlace(), "give one node role: control-plane", "no node is a control plane")
}

// Rule: an even number of control planes bears no more losses than one less (a warning).
func ruleEvenControlPlanes(v *validator) {
	unread := slices.ContainsFunc(v.Spec.Nodes.Items, func(n Node) bool { return !n.Role.Set }) // it may be one more
	switch n := len(v.ControlPlanes()); {
	case n == 0 || n%2 == 1 || unread:
	case n == 2:
		v.warnf(v.nodesPlace(), "use one or three", "with two control planes the loss of either stops etcd, and with it the cluster")
	default:
		v.warnf(v.nodesPlace(), fmt.Sprintf("use %d or %d", n-1, n+1), "%d control planes bear the loss of %d, as %d do: etcd needs a majority", n, (n-1)/2, n-1)
	}
}

// Rule: names and aliases of nodes, names of pools, and the endpoint's own name are all different.
func ruleNameTwice(v *validator) {
	first := map[string]string{}
	if v.ownEndpoint() {
		first[OwnEndpointHost(v.Spec.Kubernetes.ClusterName.V)] = "the control planes' common name"
	}
	claim := func(name Value[string]) {
		switch by, taken := first[name.V]; {
		case !name.Set:
		case taken:
			v.errorf(name.At, "write another name", "%s is taken by %s", name.V, by)
		default:
			first[name.V] = name.Path
		}
	}
	for _, t := range v.targets {
		claim(t.Name)
	}
	for _, n := range v.Spec.Nodes.Items {
		for _, alias := range n.Aliases.Items {
			claim(alias)
		}
	}
}

// Rule: no two interfaces have one MAC address, on one node or on two.
func ruleMACTwice(v *validator) {
	type owner struct{ name, path string }
	first := map[string]owner{}
	claim := func(mac Value[string], name string) {
		parsed, err := net.ParseMAC(mac.V)
		if !mac.Set || err != nil {
			return
		}
		switch by, taken := first[parsed.String()]; {
		case !taken:
			first[parsed.String()] = owner{name, mac.Path}
		case by.path == mac.Path: // an inherited one
			v.errorf(mac.At, "write it at the one node that has it", "%s and %s would both have the MAC address %s", by.name, name, mac.V)
		default:
			v.errorf(mac.At, "write the address of this node's own interface", "%s has the MAC address %s already", by.name, mac.V)
		}
	}
	for _, n := range v.Spec.Nodes.Items {
		claim(n.MAC, n.Name.V)
	}
	for _, t := range v.targets {
		if t.Node == nil {
			continue
		}
		for _, card := range t.Network.Ethernets.Entries {
			claim(card.Value.Match.MACAddress, t.Name.V)
		}
	}
}
