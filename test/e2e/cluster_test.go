//go:build e2e

package e2e

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// patience bounds the way from blank machines to a Ready cluster. Six minutes are usual with two cores, and everything else on the host slows it.
const patience = 20 * time.Minute

// cluster is a spec, what gen wrote for it, and the machines that boot from that.
type cluster struct {
	t        *testing.T
	dir      string // of the spec, the output and the machines' disks
	kept     string
	started  time.Time
	machines []*machine
}

// newCluster takes a spec of examples/e2e and runs gen on it.
func newCluster(t *testing.T, example string) *cluster {
	t.Helper()
	c := &cluster{t: t, dir: filepath.Join(runs, t.Name()), kept: filepath.Join(last, t.Name()), started: time.Now()}
	must(t, os.RemoveAll(c.kept))
	must(t, os.MkdirAll(c.dir, 0o755))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the machines' consoles and journals are in %s", absolute(c.kept))
		}
	})
	text, err := os.ReadFile(filepath.Join("../../examples/e2e", example))
	must(t, err)
	c.writeSpec(withDigests(t, string(text)))
	c.gen()
	return c
}

func (c *cluster) spec() string { return filepath.Join(c.dir, "cluster.yaml") }

func (c *cluster) writeSpec(text string) {
	c.t.Helper()
	must(c.t, os.WriteFile(c.spec(), []byte(text), 0o644))
}

var preload = regexp.MustCompile(`\{path: (/opt/images/\S+), sha256: "0{64}"\}`)

// withDigests puts the digests of the archives that were built here into the spec.
func withDigests(t *testing.T, spec string) string {
	t.Helper()
	return preload.ReplaceAllStringFunc(spec, func(entry string) string {
		path := preload.FindStringSubmatch(entry)[1]
		archive, err := os.Open(filepath.Join(build, "layer", path))
		must(t, err)
		defer archive.Close()
		sum := sha256.New()
		_, err = io.Copy(sum, archive)
		must(t, err)
		return fmt.Sprintf("{path: %s, sha256: %q}", path, hex.EncodeToString(sum.Sum(nil)))
	})
}

// gen runs gen on the spec as it stands.
func (c *cluster) gen(args ...string) string {
	c.t.Helper()
	command := exec.Command(build+"/gen", append(args, "-spec", c.spec())...)
	if len(args) == 0 {
		command.Args = append(command.Args, "-out", filepath.Join(c.dir, "out"))
	}
	out, err := command.CombinedOutput()
	if err != nil {
		c.t.Fatalf("gen %s: %v\n%s", strings.Join(command.Args[1:], " "), err, out)
	}
	return string(out)
}

// machine is the one of that name, made on first use.
func (c *cluster) machine(name string) *machine {
	c.t.Helper()
	for _, m := range c.machines {
		if m.name == name {
			return m
		}
	}
	m := newMachine(c.t, name, filepath.Join(c.dir, "out/nodes", name), filepath.Join(c.dir, name), filepath.Join(c.kept, name))
	c.machines = append(c.machines, m)
	return m
}

// boot switches machines on, in that order, at once.
func (c *cluster) boot(names ...string) {
	c.t.Helper()
	for _, name := range names {
		c.machine(name).boot(c.t)
	}
}

// reboot presses every machine's power button, switches them on again, and waits until the cluster has seen that they started anew: for a while
// the API server tells what it knew before.
func (c *cluster) reboot(names ...string) {
	c.t.Helper()
	before, err := c.nodes("{.status.nodeInfo.bootID}")
	must(c.t, err)
	for _, name := range names {
		c.machine(name).stop(c.t)
	}
	c.boot(names...)
	c.wait(patience, "all nodes report a new boot", func() string {
		now, err := c.nodes("{.status.nodeInfo.bootID}")
		if err != nil {
			return err.Error()
		}
		for _, name := range names {
			if now[name] == before[name] {
				return name + " has reported none"
			}
		}
		return ""
	})
}

// edit changes the spec at the one place where old stands, and runs gen again.
func (c *cluster) edit(old, new string) {
	c.t.Helper()
	text, err := os.ReadFile(c.spec())
	must(c.t, err)
	if n := strings.Count(string(text), old); n != 1 {
		c.t.Fatalf("%q stands %d times in the spec", old, n)
	}
	c.writeSpec(strings.Replace(string(text), old, new, 1))
	c.gen()
}

// initialised are the control planes that ran kubeadm init to its end and were let have it.
func (c *cluster) initialised() []string {
	var names []string
	for _, m := range c.machines {
		if m.has("var/lib/muster/init.done") {
			names = append(names, m.name)
		}
	}
	return names
}

// oneInit fails when the cluster was not founded exactly once.
func (c *cluster) oneInit() {
	c.t.Helper()
	if names := c.initialised(); len(names) != 1 {
		c.t.Fatalf("kubeadm init was committed by %v: exactly one control plane should have", names)
	}
}

// kubectl runs outside of the machines, with the admin kubeconfig of a control plane that is on.
func (c *cluster) kubectl(args ...string) (string, error) {
	c.t.Helper()
	for _, m := range c.machines {
		if !m.running() || !m.has("etc/kubernetes/admin.conf") {
			continue
		}
		hosts := m.path("etc/hosts")
		command := exec.Command("unshare", append([]string{"--mount", "sh", "-c", `mount --bind "$0" /etc/hosts && exec "$@"`, hosts,
			build + "/bin/kubectl", "--kubeconfig", m.path("etc/kubernetes/admin.conf"), "--request-timeout", "20s"}, args...)...)
		var stderr strings.Builder
		command.Stderr = &stderr
		out, err := command.Output()
		if err != nil {
			return "", fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, stderr.String())
		}
		return string(out), nil
	}
	return "", fmt.Errorf("no machine that is on has an admin kubeconfig yet")
}

func (c *cluster) mustKubectl(args ...string) string {
	c.t.Helper()
	out, err := c.kubectl(args...)
	must(c.t, err)
	return out
}

// ready waits until Kubernetes says of exactly these nodes that they are Ready, and each of the machines says that it is done.
func (c *cluster) ready(names ...string) {
	c.t.Helper()
	begin := time.Now()
	c.wait(patience, "all nodes are Ready", func() string { return c.missing(names) })
	c.t.Logf("Ready after %.0f s: %s", time.Since(begin).Seconds(), strings.Join(names, " "))
}

// missing is what is not yet as ready wants it. The machines' files are looked at first: every run of kubectl takes from them the processor that
// they need.
func (c *cluster) missing(names []string) string {
	c.t.Helper()
	for _, name := range names {
		m := c.machine(name)
		if !m.running() {
			c.t.Fatalf("%s went off by itself; see %s", name, m.kept)
		}
		if !m.has("var/lib/muster/done") {
			return name + " does not say that it is done"
		}
	}
	is, err := c.nodes(`{.status.conditions[?(@.type=="Ready")].status}`)
	if err != nil {
		return err.Error()
	}
	for name, status := range is {
		if wanted := slices.Contains(names, name); wanted != (status == "True") {
			return fmt.Sprintf("which nodes are Ready: %v", is)
		}
	}
	if len(is) < len(names) {
		return fmt.Sprintf("which nodes are Ready: %v", is)
	}
	return ""
}

// nodes asks for one field of every node.
func (c *cluster) nodes(field string) (map[string]string, error) {
	c.t.Helper()
	text, err := c.kubectl("get", "nodes", "-o", "jsonpath={range .items[*]}{.metadata.name}="+field+"{\"\\n\"}{end}")
	if err != nil {
		return nil, err
	}
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		fields[name] = value
	}
	return fields, nil
}

// wait asks until there is nothing left to say, and fails with the last answer.
func (c *cluster) wait(limit time.Duration, what string, missing func() string) {
	c.t.Helper()
	end, left := time.Now().Add(limit), ""
	for {
		if left = missing(); left == "" {
			return
		}
		if time.Now().After(end) {
			break
		}
		time.Sleep(3 * time.Second)
	}
	pods, err := c.kubectl("get", "nodes,pods", "-A", "-o", "wide")
	if err != nil {
		pods = err.Error()
	}
	c.t.Fatalf("not after %v: %s: %s\n%s", limit, what, left, pods)
}

// nginx does what the tutorial ends with: a deployment, a NodePort service, and a look at it by every node's address. The pods lie on other machines than
// most of those that are asked, so the answers come through the pod network; they name the pod.
func (c *cluster) nginx(replicas int) {
	c.t.Helper()
	c.mustKubectl("create", "deployment", "nginx", "--image=nginx:1.28-alpine", fmt.Sprintf("--replicas=%d", replicas))
	c.mustKubectl("expose", "deployment", "nginx", "--port=80", "--type=NodePort")
	c.nginxAnswers(replicas)
	machines := strings.Fields(c.mustKubectl("get", "pods", "--selector=app=nginx", "-o", "jsonpath={.items[*].spec.nodeName}"))
	if slices.Sort(machines); len(slices.Compact(machines)) != replicas {
		c.t.Fatalf("the pods of nginx run on %v: the pod network between machines has not been tried", machines)
	}
}

// nginxAnswers waits until every pod of nginx has answered by every node's address.
func (c *cluster) nginxAnswers(replicas int) {
	c.t.Helper()
	port := c.mustKubectl("get", "service", "nginx", "-o", "jsonpath={.spec.ports[0].nodePort}")
	nodes := strings.Fields(c.mustKubectl("get", "nodes", "-o", `jsonpath={.items[*].status.addresses[?(@.type=="InternalIP")].address}`))
	for _, node := range nodes {
		pods := map[string]bool{}
		c.wait(5*time.Minute, fmt.Sprintf("nginx answers on %s:%s", node, port), func() string {
			pod, err := fetch("http://" + node + ":" + port + "/")
			if err != nil {
				return err.Error()
			}
			pods[pod] = true
			if len(pods) < replicas {
				return fmt.Sprintf("of %d pods these have answered: %v", replicas, pods)
			}
			return ""
		})
	}
	c.t.Logf("nginx answers on port %s of %s, from %d pods", port, strings.Join(nodes, " "), replicas)
}

// fetch returns the first word of a page; each request is a connection of its own, so that the service may choose another pod.
func fetch(url string) (string, error) {
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK || len(page) == 0 {
		return "", fmt.Errorf("%s: %s", url, response.Status)
	}
	pod, _, _ := strings.Cut(string(page), " ")
	return pod, nil
}

// table prints when each machine was done with each step, in seconds since it was switched on.
func (c *cluster) table() {
	times, first := map[string]map[string]time.Duration{}, map[string]time.Duration{}
	for _, m := range c.machines {
		for _, s := range m.stepsDone() {
			if times[s.name] == nil {
				times[s.name], first[s.name] = map[string]time.Duration{}, s.at
			}
			times[s.name][m.name] = s.at
			first[s.name] = min(first[s.name], s.at)
		}
	}
	names := slices.SortedFunc(maps.Keys(times), func(a, b string) int { return cmp.Compare(first[a], first[b]) })
	var b strings.Builder
	fmt.Fprintf(&b, "seconds after power-on at which each step was done:\n%-28s", "")
	for _, m := range c.machines {
		fmt.Fprintf(&b, " %12s", m.name)
	}
	for _, name := range names {
		fmt.Fprintf(&b, "\n%-28s", name)
		for _, m := range c.machines {
			cell := ""
			if at, ok := times[name][m.name]; ok {
				cell = fmt.Sprintf("%.1f", at.Seconds())
			}
			fmt.Fprintf(&b, " %12s", cell)
		}
	}
	c.t.Log(b.String())
}
