// Package plan turns a checked spec and its profiles into the neutral description of each machine: which files lie on
// it, which units run, who may log in. It decides everything that goes into a document and nothing of how it is written
// there. What it produces depends on its arguments alone. S1 to S21 in comments are rows of docs/procedure.md, the
// steps of the tutorial that Muster replaces.
package plan

import (
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"muster/internal/kube"
	"muster/internal/layout"
	"muster/internal/node"
	"muster/internal/problem"
	"muster/internal/secrets"
	"muster/internal/spec"
	"muster/profiles"
	"muster/templates"
)

// Input is all that a plan is made of.
type Input struct {
	// Cluster has its defaults and has been validated without an error.
	Cluster *spec.Cluster
	// Profiles are the profiles that the cluster's targets name, by the name they use.
	Profiles map[string]*profiles.Profile
	// ReadFile reads a file named in the spec, relative to it.
	ReadFile func(name string) ([]byte, error)
	// Rendezvous is what the machines meet through.
	Rendezvous Rendezvous
	// Only plans one machine, by its place among the cluster's targets; nil plans all.
	Only *int
}

// Machine is the plan of one document.
type Machine struct {
	Config  node.Config
	Target  spec.Target
	Profile *profiles.Profile
}

// Folder is the folder of the output that the machine's document and files are in.
func (m Machine) Folder() string { return layout.Machine(m.Config.Pool, m.Config.Name) }

// Build plans every node and pool of the cluster, in the order of the spec. Problems that only planning can find (a
// file beside the spec that is not there) are reported at the line that names it.
func Build(in Input, problems *problem.List) []Machine {
	version, err := kube.Parse(in.Cluster.Spec.Kubernetes.Version.V)
	if err != nil {
		problems.Errorf(in.Cluster.Spec.Kubernetes.Version.At, "", "%v", err)
		return nil
	}
	name := in.Cluster.Metadata.Name
	authority, err := in.Rendezvous.Secrets.Authority(name.V)
	if err != nil {
		problems.Errorf(name.At, "", "no credentials can be made: %v", err)
		return nil
	}
	targets := in.Cluster.Targets()
	all := targets
	names, joined := clusterNames(in.Cluster, targets), &sync.Map{}
	args := controllerManagerArgs(in, targets, problems)
	checkCNIBin(in, targets, problems)
	if in.Only != nil {
		targets = targets[*in.Only : *in.Only+1]
	}
	out := make([]Machine, len(targets))
	var plans errgroup.Group // machines depend on nothing but themselves
	plans.SetLimit(runtime.GOMAXPROCS(0))
	for i, target := range targets {
		plans.Go(func() error {
			m := &machine{
				Input: in, Target: target, targets: all, problems: problems, version: version, names: names, authority: authority, joined: joined,
				profile: in.Profiles[target.Profile.V], controllerManagerArgs: args,
			}
			out[i] = Machine{Config: m.build(), Target: target, Profile: m.profile}
			return nil
		})
	}
	_ = plans.Wait() // what is wrong is in problems
	return out
}

// machine is one target while it is planned.
type machine struct {
	Input
	spec.Target
	targets   []spec.Target // of the whole cluster
	problems  *problem.List
	version   kube.Version
	names     names
	authority *secrets.Authority
	profile   *profiles.Profile
	// controllerManagerArgs are the flags of kube-controller-manager that the control planes' profiles need.
	controllerManagerArgs map[string]string
	// joined are the scripts that were put together so far, by what they are made of.
	joined *sync.Map

	config node.Config
	conf   conf
}

// Paths on every machine. The credentials and settings in etcFolder survive a power cut; runFolder is empty after
// each boot.
const (
	etcFolder     = "/etc/muster"
	initFile      = etcFolder + "/kubeadm-init.yaml"
	joinFile      = etcFolder + "/kubeadm-join.yaml"
	manifests     = etcFolder + "/manifests"
	runFolder     = "/run/muster"
	discoveryFile = runFolder + "/discovery.conf"
	sysctlFile    = "/etc/sysctl.d/kubernetes.conf"
	modulesFile   = "/etc/modules-load.d/kubernetes.conf"
)

// userDataLimits are the sizes of user data in bytes that platforms take, by their documentation: EC2 16 KiB before
// base64, OpenStack 64 KiB after base64, Azure 64 KiB before base64, GCE 256 KiB a metadata value, vSphere (guestinfo)
// 64 KiB.
var userDataLimits = map[string]int{"ec2": 16 << 10, "openstack": 65535 / 4 * 3, "azure": 64 << 10, "gce": 256 << 10, "vsphere": 64 << 10}

// build plans the machine part by part; the parts are independent of each other but for what they note in conf.
func (m *machine) build() node.Config {
	m.config = node.Config{
		Name: m.Name.V, Pool: m.Pool != nil, At: m.At,
		InstanceID: m.Cluster.Metadata.Name.V + "." + m.Name.V,
		Start:      templates.Target, Done: templates.SetUp,
		UserDataLimit: userDataLimits[m.Platform.V], TakesBinary: m.Platform.V == "ec2", Netplan: m.profile.NetworkRenderer.V == "netplan",
	}
	if m.Node != nil {
		m.config.Hostname = m.Name.V
	}
	m.conf = m.identity()
	m.planHosts()
	m.planKernel()
	m.planSystem()
	m.planNetwork()
	m.planPackages()
	m.planBinaries()
	m.planRuntime()
	m.planKubelet()
	m.planKubeadm()
	m.planRendezvous()
	m.planCNI()
	m.planImages()
	m.addUsers()
	m.addProfileExtras()
	m.addExtraFiles()
	m.addExtraUnits()
	m.planCommands()
	m.planScripts()
	m.addFile(node.File{Path: ConfFile, Mode: 0o600, Contents: m.conf.bytes()})
	return m.config
}

// addFile adds a file to the machine, unless its path is taken.
func (m *machine) addFile(f node.File) {
	if !m.refuseTaken(f.Path, f.At) {
		m.config.Files = append(m.config.Files, f)
	}
}

// refuseTaken reports whether a path has an author already: it can have only one. A spec's file where muster or the
// profile puts one is a problem at the spec's line, whichever was planned first, and the same problem on all machines
// that it is for.
func (m *machine) refuseTaken(path string, at problem.At) bool {
	i := slices.IndexFunc(m.config.Files, func(known node.File) bool { return known.Path == path })
	if i < 0 && path != m.programPath() {
		return false
	}
	if i >= 0 {
		at = at.Or(m.config.Files[i].At)
	}
	m.problems.Errorf(at, "say it in the field of the spec that the file comes from, or choose another path", "muster writes %s itself", path)
	return true
}

// addText adds a readable file with the usual mode.
func (m *machine) addText(path, contents string, at problem.At) {
	m.addFile(node.File{Path: path, Mode: 0o644, Contents: []byte(contents), At: at})
}
