// Package config owns the configuration file of a control plane's rendezvous: gen writes it, cmd/rendezvous reads it.
// It holds paths and addresses, and no secret.
package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"time"

	"muster/internal/rendezvous"
	"muster/internal/secrets/credential"
)

// Config is the file. Empty fields have the defaults that Default fills in.
type Config struct {
	// Cluster and Node are this machine's cluster and name.
	Cluster string `json:"cluster"`
	Node    string `json:"node"`
	// ControlPlanes are all control planes of the spec in its order, this one included: the first may found the store.
	ControlPlanes []ControlPlane `json:"controlPlanes"`
	// Port is the API's, RaftPort the store's.
	Port     int `json:"port,omitempty"`
	RaftPort int `json:"raftPort,omitempty"`
	// DataDir holds what the service keeps. Beside it lies what outlives it: DataDir + ".founded" says that a store was
	// founded here, DataDir + ".known" which control planes were added to the spec after this file was written,
	// DataDir + ".revoked" which nodes were revoked, and DataDir + ".agent" holds how far this machine's kubeadm came.
	DataDir string `json:"dataDir,omitempty"`
	// CA, Certificate and Key are the credential, in PEM.
	CA          string `json:"ca,omitempty"`
	Certificate string `json:"certificate,omitempty"`
	Key         string `json:"key,omitempty"`
	// AdminConf and PKI are kubeadm's.
	AdminConf string `json:"adminConf,omitempty"`
	PKI       string `json:"pki,omitempty"`
	// Etcd is the client URL of this machine's etcd.
	Etcd string `json:"etcd,omitempty"`
	// Discovery is where the kubeconfig for kubeadm join is written.
	Discovery string `json:"discovery,omitempty"`
	// Reset is the command that undoes a half-done kubeadm, kubeadm reset -f unless said otherwise. Where a CA of the
	// user's own lies in PKI it has to put that back.
	Reset []string `json:"reset,omitempty"`
	// TokenTTL is the life of minted tokens, as Go writes durations; 15m at most.
	TokenTTL string `json:"tokenTTL,omitempty"`
	// Console gets one line a step.
	Console string `json:"console,omitempty"`
}

// ControlPlane is one of the spec's control planes.
type ControlPlane struct {
	Name    string `json:"name"`
	Address string `json:"address"`
}

// The default ports are the design's.
const (
	DefaultPort     = 7443
	DefaultRaftPort = 7444
)

// Path is where gen puts the file, and where cmd/rendezvous looks by default.
const Path = "/etc/muster/rendezvous/config.json"

// Default fills empty fields.
func (c *Config) Default() {
	text := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	text(&c.DataDir, "/var/lib/muster/rendezvous")
	text(&c.CA, "/etc/muster/rendezvous/ca.crt")
	text(&c.Certificate, "/etc/muster/rendezvous/node.crt")
	text(&c.Key, "/etc/muster/rendezvous/node.key")
	text(&c.AdminConf, "/etc/kubernetes/admin.conf")
	text(&c.PKI, "/etc/kubernetes/pki")
	text(&c.Etcd, "https://127.0.0.1:2379")
	text(&c.Discovery, "/run/muster/discovery.conf")
	text(&c.TokenTTL, rendezvous.MaxTokenTTL.String())
	text(&c.Console, "/dev/console")
	if c.Port == 0 {
		c.Port = DefaultPort
	}
	if c.RaftPort == 0 {
		c.RaftPort = DefaultRaftPort
	}
	if len(c.Reset) == 0 {
		c.Reset = []string{"kubeadm", "reset", "-f"}
	}
}

// Load reads, completes and checks a file.
func Load(path string) (Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("the rendezvous' configuration: %w", err)
	}
	var c Config
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return c, fmt.Errorf("%s: something follows the object", path)
	}
	c.Default()
	if err := c.Check(); err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// Check says all that is wrong with the values.
func (c *Config) Check() error {
	var problems []error
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	for field, name := range map[string]string{"cluster": c.Cluster, "node": c.Node} {
		if err := credential.CheckName(name); err != nil {
			wrong("%s: %w", field, err)
		}
	}
	seen := map[string]bool{}
	for i, p := range c.ControlPlanes {
		if err := credential.CheckName(p.Name); err != nil {
			wrong("controlPlanes[%d]: %w", i, err)
		}
		if _, err := netip.ParseAddr(p.Address); err != nil {
			wrong("controlPlanes[%d]: address: write an IP address: names do not resolve before the network is up", i)
		}
		if seen[p.Name] || seen[p.Address] {
			wrong("controlPlanes[%d]: %s or its address is there twice", i, p.Name)
		}
		seen[p.Name], seen[p.Address] = true, true
	}
	if !slices.ContainsFunc(c.ControlPlanes, func(p ControlPlane) bool { return p.Name == c.Node }) {
		wrong("controlPlanes: %s itself is missing", c.Node)
	}
	for field, port := range map[string]int{"port": c.Port, "raftPort": c.RaftPort} {
		if port < 1 || port > 65535 {
			wrong("%s: %d is no port", field, port)
		}
	}
	if c.Port == c.RaftPort {
		wrong("raftPort: %d is the API's port as well", c.RaftPort)
	}
	if ttl, err := time.ParseDuration(c.TokenTTL); err != nil || ttl <= 0 || ttl > rendezvous.MaxTokenTTL {
		wrong("tokenTTL: write a duration up to %s, such as 15m", rendezvous.MaxTokenTTL)
	}
	return errors.Join(problems...)
}

// TTL is TokenTTL as a duration.
func (c *Config) TTL() time.Duration {
	ttl, _ := time.ParseDuration(c.TokenTTL) // Check refused what is none
	return ttl
}

// API is where a control plane's API answers, Raft where its store does.
func (c *Config) API(p ControlPlane) string { return net.JoinHostPort(p.Address, strconv.Itoa(c.Port)) }

// Raft is where a control plane's store answers.
func (c *Config) Raft(p ControlPlane) string {
	return net.JoinHostPort(p.Address, strconv.Itoa(c.RaftPort))
}

// Self is this control plane's own entry.
func (c *Config) Self() ControlPlane {
	i := slices.IndexFunc(c.ControlPlanes, func(p ControlPlane) bool { return p.Name == c.Node })
	if i < 0 {
		return ControlPlane{Name: c.Node}
	}
	return c.ControlPlanes[i]
}

// Servers are the APIs of all control planes, this one's first: it is nearest, and mostly up when its machine is.
func (c *Config) Servers() []string {
	list := []string{c.API(c.Self())}
	for _, p := range c.ControlPlanes {
		if p.Name != c.Node {
			list = append(list, c.API(p))
		}
	}
	return list
}
