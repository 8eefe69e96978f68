package plan

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"time"

	"muster/internal/decode"
	"muster/internal/node"
	"muster/internal/rendezvous"
	"muster/internal/rendezvous/config"
	"muster/internal/secrets"
	"muster/internal/secrets/credential"
	"muster/internal/spec"
)

// Rendezvous is what control planes need to run the rendezvous, and every machine to be known by it.
type Rendezvous struct {
	// Secrets is what every credential is derived from.
	Secrets *secrets.Bundle
	// Program returns the rendezvous for an architecture (a GOARCH value), without a path or mode.
	Program func(architecture string) (node.Program, error)
}

// The rendezvous' files on machines; config.Path and config.Default have the same names.
const (
	rendezvousFolder = etcFolder + "/rendezvous"
	caFile           = rendezvousFolder + "/ca.crt"
	certificateFile  = rendezvousFolder + "/node.crt"
	keyFile          = rendezvousFolder + "/node.key"
	// grantFile is read by curl -K, so that the grant is never on a command line.
	grantFile = rendezvousFolder + "/grant"
)

// SecretFiles are the paths on machines of everything that is secret, whichever machines have it.
var SecretFiles = []string{keyFile, grantFile}

// FromSecrets reports whether a line of a file on a machine is made from the secrets bundle.
func FromSecrets(path string, line []byte) bool {
	if path == ConfFile {
		return bytes.HasPrefix(line, []byte(notBefore+"="))
	}
	return path == caFile || path == certificateFile || slices.Contains(SecretFiles, path)
}

// notBefore is the setting that holds the time at which the secrets bundle was made: an earlier clock is wrong.
const notBefore = "NOT_BEFORE"

// planRendezvous gives the machine its credential (S18, S20): control planes serve the rendezvous and are known by a
// certificate, workers ask it with a grant. A dry run of kubeadm founds nothing that could be joined.
func (m *machine) planRendezvous() {
	m.conf.set(notBefore, strconv.FormatInt(m.Rendezvous.Secrets.Created().Unix(), 10))
	if m.Cluster.Spec.Kubernetes.DryRun.V {
		return
	}
	m.addText(caFile, string(m.authority.Certificate()), m.Cluster.Spec.Rendezvous.At)
	add := m.addRendezvousClient
	if m.IsControlPlane() {
		add = m.addRendezvousServer
	}
	if err := add(); err != nil {
		m.problems.Errorf(m.Name.At, "", "no credential can be made for %s: %v", m.Name.V, err)
	}
}

// addRendezvousClient adds what a worker, or a pool of them, asks the rendezvous with: its grant and the servers.
func (m *machine) addRendezvousClient() error {
	grant, err := m.grant()
	if err != nil {
		return err
	}
	m.addFile(node.File{Path: grantFile, Mode: 0o600, Contents: fmt.Appendf(nil, "header = \"Authorization: Bearer %s\"\n", grant.Reveal()), Secret: true})
	m.conf.setList("CURL_ARGS", decode.Strings(m.profile.CurlArgs))
	var servers []string
	for _, n := range m.names.controlPlanes {
		servers = append(servers, net.JoinHostPort(n.Address.V, strconv.Itoa(m.Cluster.Spec.Rendezvous.Port.V)))
	}
	m.conf.setList("RENDEZVOUS", servers)
	return nil
}

func (m *machine) grant() (credential.Secret, error) {
	if m.Pool == nil {
		return m.authority.WorkerGrant(m.Name.V)
	}
	var until time.Time
	if m.Pool.JoinUntil.Set {
		until, _ = time.Parse(time.RFC3339, m.Pool.JoinUntil.V) // validated
	}
	return m.authority.PoolGrant(m.Name.V, m.Pool.MaxNodes.V, until)
}

// addRendezvousServer adds what a control plane serves the rendezvous with: its certificate and key, the program's
// configuration and the program.
func (m *machine) addRendezvousServer() error {
	address, err := netip.ParseAddr(m.Node.Address.V)
	if err != nil {
		return err
	}
	pair, err := m.authority.ControlPlane(m.Name.V, []netip.Addr{address})
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(m.rendezvousConfig(), "", "  ")
	if err != nil {
		return err
	}
	m.addText(certificateFile, string(pair.Certificate), m.Name.At)
	m.addFile(node.File{Path: keyFile, Mode: 0o600, Contents: pair.Key.Reveal(), Secret: true})
	m.addText(config.Path, string(text)+"\n", m.Cluster.Spec.Rendezvous.At)
	return m.deliverProgram()
}

// rendezvousConfig leaves out what the program takes by itself.
func (m *machine) rendezvousConfig() config.Config {
	r, k := m.Cluster.Spec.Rendezvous, m.Cluster.Spec.Kubernetes
	c := config.Config{
		Cluster: m.Cluster.Metadata.Name.V, Node: m.Name.V, Port: r.Port.V, RaftPort: r.RaftPort.V, TokenTTL: tokenTTL(k.BootstrapToken.TTL.V),
		Reset: []string{"/bin/bash", m.scriptPath(), "reset"},
	}
	for _, n := range m.names.controlPlanes {
		c.ControlPlanes = append(c.ControlPlanes, config.ControlPlane{Name: n.Name.V, Address: n.Address.V})
	}
	if dir := k.CertificatesDir.V; dir != spec.DefaultCertificatesDir {
		c.PKI = dir
	}
	return c
}

// tokenTTL is the life of a joining machine's token: what the spec sets, but never longer than the rendezvous allows.
func tokenTTL(text string) string {
	ttl, err := time.ParseDuration(text)
	if err != nil || ttl >= rendezvous.MaxTokenTTL {
		return "" // the program's own, which is the longest
	}
	return text
}

// programPath is where the rendezvous lies on control planes; empty on other machines. People find it in their PATH,
// and SELinux lets systemd start what lies there.
func (m *machine) programPath() string {
	if !m.IsControlPlane() || m.Cluster.Spec.Kubernetes.DryRun.V {
		return ""
	}
	return path.Join(cmp.Or(m.profile.Paths.Bin.V, "/usr/local/bin"), "rendezvous")
}

// MediumProgram is the path of the rendezvous, compressed with gzip, on the boot medium.
func MediumProgram(architecture string) string { return "muster/rendezvous-" + architecture + ".gz" }

// deliverProgram brings the program to the machine in the way that the spec chooses.
func (m *machine) deliverProgram() error {
	r := m.Cluster.Spec.Rendezvous
	program, err := m.Rendezvous.Program(m.Architecture.V)
	if err != nil {
		return err
	}
	if r.Delivery.V == "url" {
		m.conf.set("RENDEZVOUS_PROGRAM", m.programPath())
		m.conf.set("RENDEZVOUS_URL", r.URL.V)
		m.conf.set("RENDEZVOUS_SHA256", cmp.Or(r.SHA256.V, program.SHA256))
		return nil
	}
	if r.Delivery.V == "media" {
		m.conf.set("RENDEZVOUS_PROGRAM", m.programPath())
		m.conf.set("RENDEZVOUS_MEDIUM", MediumProgram(m.Architecture.V))
		m.conf.set("RENDEZVOUS_SHA256", program.SHA256)
		return nil
	}
	program.Path, program.Mode, program.At = m.programPath(), 0o755, r.Delivery.At
	m.config.Programs = append(m.config.Programs, program)
	return nil
}
