//go:build libsqlite3

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"muster/internal/rendezvous"
	"muster/internal/rendezvous/client"
	"muster/internal/rendezvous/clustertest"
	"muster/internal/rendezvous/config"
	"muster/internal/rendezvous/kubernetes"
	"muster/internal/secrets"
)

// The test binary is four programs: the tests, which move into namespaces of their own first; the rendezvous itself,
// with a clock that runs faster; and a kubeadm that leaves behind what the real one does.
const (
	insideVariable  = "MUSTER_TEST_INSIDE"
	machineVariable = "MUSTER_TEST_MACHINE"
	initVariable    = "MUSTER_TEST_INIT_TAKES"
	// faster is how much faster the leases' clock runs: ten minutes in ten seconds.
	faster = 60
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(machineVariable) != "" && len(os.Args) > 1 && os.Args[1] == "kubeadm":
		if err := fakeKubeadm(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case os.Getenv(machineVariable) != "":
		begin := time.Now()
		fast := clock{
			now: func() time.Time { return begin.Add(time.Since(begin) * faster) },
			sleep: func(ctx context.Context, d time.Duration) error {
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(d / faster):
					return nil
				}
			},
		}
		ctx, stop := context.WithCancel(context.Background())
		defer stop()
		os.Exit(run(ctx, os.Args[1:], fast, os.Stdout, os.Stderr))
	case os.Getenv(insideVariable) == "":
		os.Exit(moveInside())
	default:
		if err := errors.Join(ip("link set lo up"), runLine("mkdir -p /run/netns"), runLine("mount -t tmpfs tmpfs /run/netns")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(m.Run())
	}
}

func moveInside() int {
	cmd := exec.Command("unshare", append([]string{"--net", "--mount", "--propagation", "private", os.Args[0]}, os.Args[1:]...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), insideVariable+"=1")
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func runLine(line string) error {
	words := strings.Fields(line)
	out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", line, err, out)
	}
	return nil
}

func ip(line string) error { return runLine("ip " + line) }

// site is one cluster of real processes, each machine in a network namespace on one bridge, around a Kubernetes in
// memory.
type site struct {
	t         testing.TB
	number    int
	dir       string
	authority *secrets.Authority
	certs     *clustertest.Certificates
	planes    []*plane
	stopped   chan struct{}
	initTakes time.Duration // how long kubeadm init takes, beside its usual second
	group     sync.WaitGroup
	kills     atomic.Int64

	mu       sync.Mutex
	clusters map[string]*clustertest.Kubernetes
	of       map[string]string // the cluster that a node's etcd belongs to
	servers  []*http.Server
}

var siteNumbers atomic.Int64

// newSite starts nothing yet. Tests run side by side: they mostly wait.
func newSite(t testing.TB, planes int) *site {
	if test, ok := t.(*testing.T); ok {
		test.Parallel()
	}
	s := &site{t: t, number: int(siteNumbers.Add(1)), dir: t.TempDir(), stopped: make(chan struct{}), clusters: map[string]*clustertest.Kubernetes{}, of: map[string]string{}}
	var err error
	if s.authority, err = secrets.Test().Authority("k8s"); err != nil {
		t.Fatal(err)
	}
	if s.certs, err = clustertest.NewCertificates(net.ParseIP(s.address(254))); err != nil {
		t.Fatal(err)
	}
	s.must(ip(fmt.Sprintf("link add %s type bridge", s.bridge())), ip(fmt.Sprintf("addr add %s/24 dev %s", s.address(254), s.bridge())), ip("link set "+s.bridge()+" up"))
	s.serveKubernetes()
	for i := range planes {
		s.planes = append(s.planes, &plane{s: s, i: i, name: fmt.Sprintf("cp%d", i), done: make(chan struct{})})
	}
	for _, p := range s.planes {
		p.create()
	}
	t.Cleanup(s.close)
	return s
}

func (s *site) must(errs ...error) {
	s.t.Helper()
	if err := errors.Join(errs...); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) address(host int) string {
	return fmt.Sprintf("10.%d.%d.%d", 77+s.number>>8, s.number&0xff, host)
}
func (s *site) bridge() string { return fmt.Sprintf("br%d", s.number) }

func (s *site) close() {
	close(s.stopped)
	for _, p := range s.planes {
		p.signal(syscall.SIGCONT)
		p.signal(syscall.SIGKILL)
	}
	for _, server := range s.servers {
		_ = server.Close() // a test is over
	}
	s.group.Wait()
	for _, p := range s.planes {
		s.must(ip("netns del " + p.space()))
	}
	s.must(ip("link del " + s.bridge()))
	for _, p := range s.planes {
		log, err := os.ReadFile(p.file("log"))
		if err == nil && (bytes.Contains(log, []byte("DATA RACE")) || bytes.Contains(log, []byte("panic:"))) {
			s.t.Errorf("%s raced or panicked", p.name)
		}
		if s.t.Failed() {
			s.t.Logf("the log of %s:\n%s", p.name, log[max(0, len(log)-6000):])
		}
	}
}

// serveKubernetes serves all clusters that kubeadm may make, and what the fake kubeadm calls.
func (s *site) serveKubernetes() {
	api := http.NewServeMux()
	api.HandleFunc("/cluster/{id}/", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		k := s.clusters[r.PathValue("id")]
		s.mu.Unlock()
		k.Handler("/cluster/"+r.PathValue("id")).ServeHTTP(w, r)
	})
	api.HandleFunc("/etcd/{node}/", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		k := s.clusters[s.of[r.PathValue("node")]]
		s.mu.Unlock()
		if k == nil {
			http.Error(w, "no etcd", http.StatusServiceUnavailable)
			return
		}
		k.Handler("/etcd/"+r.PathValue("node")).ServeHTTP(w, r)
	})
	control := http.NewServeMux()
	control.HandleFunc("/kubeadm/{step}", s.kubeadmStep)
	for port, handler := range map[string]http.Handler{"6443": api, "8080": control} {
		listener, err := net.Listen("tcp", net.JoinHostPort(s.address(254), port))
		s.must(err)
		server := &http.Server{Handler: handler, TLSConfig: s.certs.TLS()}
		s.servers = append(s.servers, server)
		s.group.Go(func() {
			if port == "6443" {
				_ = server.ServeTLS(listener, "", "") // until it is closed
				return
			}
			_ = server.Serve(listener)
		})
	}
}

// kubeadmStep is what kubeadm does to the cluster, step by step.
func (s *site) kubeadmStep(w http.ResponseWriter, r *http.Request) {
	node, id, argument := r.FormValue("node"), r.FormValue("cluster"), r.FormValue("argument")
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.clusters[id]
	if k == nil && r.PathValue("step") != "init" {
		http.Error(w, "no cluster "+id, http.StatusNotFound)
		return
	}
	var err error
	var result string
	host, _ := netip.ParseAddr(argument)
	switch r.PathValue("step") {
	case "init":
		result = fmt.Sprintf("cluster-%d-of-%s", len(s.clusters), node)
		s.clusters[result] = clustertest.New(result)
		s.clusters[result].Init(node, host)
		s.of[node] = result
	case "learner":
		result, err = k.AddLearner(node, host)
	case "start":
		err = k.StartLearner(argument, node)
	case "promote":
		if err = k.Promote(argument, node); err == nil {
			s.of[node] = id
		}
	case "worker":
		tokenID, secret, _ := strings.Cut(argument, ".")
		err = k.JoinWorker(node, tokenID, secret)
	case "token":
		if tokenID, secret, _ := strings.Cut(argument, "."); k.Tokens()[tokenID].Secret != secret {
			err = errors.New("the token is not alive")
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	_, _ = io.WriteString(w, result)
}

// fakeKubeadm is init|join|worker|reset NODE ADDRESS FOLDER CONTROL DISCOVERY.
func fakeKubeadm(args []string) error {
	verb, node, address, folder, control, discovery := args[0], args[1], args[2], args[3], args[4], args[5]
	if verb == "reset" {
		return os.RemoveAll(folder)
	}
	step := func(name, cluster, argument string) (string, error) {
		response, err := http.PostForm("http://"+control+"/kubeadm/"+name, url.Values{"node": {node}, "cluster": {cluster}, "argument": {argument}})
		if err != nil {
			return "", err
		}
		data, err := io.ReadAll(response.Body)
		if err := errors.Join(err, response.Body.Close()); err != nil || response.StatusCode != http.StatusOK {
			return "", fmt.Errorf("kubeadm %s: %s: %s %w", verb, name, data, err)
		}
		return string(data), nil
	}
	pki := filepath.Join(folder, "pki")
	if _, err := os.Stat(filepath.Join(folder, "admin.conf")); err == nil && verb != "worker" {
		return errors.New("preflight: admin.conf is there already")
	}
	work := func() { time.Sleep(time.Duration(200+os.Getpid()%7*150) * time.Millisecond) }
	if verb == "init" {
		if err := os.MkdirAll(pki, 0o700); err != nil {
			return err
		}
		work()
		long, err := time.ParseDuration(os.Getenv(initVariable))
		if err != nil {
			return err
		}
		time.Sleep(long)
		cluster, err := step("init", "", address)
		if err != nil {
			return err
		}
		return writePlane(folder, cluster, control)
	}
	var conf struct {
		Clusters []struct{ Cluster struct{ Server string } }
		Users    []struct{ User struct{ Token string } }
	}
	data, err := os.ReadFile(discovery)
	if err == nil {
		err = json.Unmarshal(data, &conf)
	}
	if err != nil || len(conf.Users) != 1 || len(conf.Clusters) != 1 {
		return fmt.Errorf("kubeadm %s: the discovery file cannot be read: %w", verb, err)
	}
	cluster := conf.Clusters[0].Cluster.Server[strings.LastIndex(conf.Clusters[0].Cluster.Server, "/")+1:]
	if _, err := step("token", cluster, conf.Users[0].User.Token); err != nil {
		return err
	}
	work()
	if verb == "worker" {
		_, err := step("worker", cluster, conf.Users[0].User.Token)
		return err
	}
	if ca, err := os.ReadFile(filepath.Join(pki, "ca.crt")); err != nil || string(ca) != cluster {
		return fmt.Errorf("kubeadm join: the CA is %q, the discovery's cluster is %s: %w", ca, cluster, err)
	}
	learner, err := step("learner", cluster, address)
	if err != nil {
		return err
	}
	for _, name := range []string{"start", "promote"} {
		work()
		if _, err := step(name, cluster, learner); err != nil {
			return err
		}
	}
	return writePlane(folder, cluster, control)
}

// writePlane leaves what kubeadm leaves on a control plane. The shared files say which cluster they are of.
func writePlane(folder, cluster, control string) error {
	pki := filepath.Join(folder, "pki")
	if err := os.MkdirAll(filepath.Join(pki, "etcd"), 0o700); err != nil {
		return err
	}
	for _, name := range kubernetes.Shared {
		if err := os.WriteFile(filepath.Join(pki, name), []byte(cluster), 0o600); err != nil {
			return err
		}
	}
	template := os.Getenv("MUSTER_TEST_TEMPLATE")
	for _, name := range []string{"etcd/ca.crt", "etcd/healthcheck-client.crt", "etcd/healthcheck-client.key"} {
		data, err := os.ReadFile(filepath.Join(template, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(pki, name), data, 0o600); err != nil {
			return err
		}
	}
	data, err := os.ReadFile(filepath.Join(template, "admin.conf"))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "admin.conf"), bytes.ReplaceAll(data, []byte("CLUSTER"), []byte(cluster)), 0o600)
}

// plane is one control plane: a namespace, a folder, and the processes in it.
type plane struct {
	s    *site
	i    int
	name string
	done chan struct{} // closed when its agent is

	mu    sync.Mutex
	serve *exec.Cmd
	agent *exec.Cmd
	down  bool // no power
	off   bool // the operator stopped the service
}

func (p *plane) space() string           { return fmt.Sprintf("s%dn%d", p.s.number, p.i) }
func (p *plane) veth() string            { return fmt.Sprintf("v%dn%d", p.s.number, p.i) }
func (p *plane) address() string         { return p.s.address(p.i + 1) }
func (p *plane) file(name string) string { return filepath.Join(p.s.dir, p.name, name) }

func (p *plane) create() {
	s := p.s
	s.must(os.MkdirAll(p.file("template/etcd"), 0o700), s.certs.WriteEtcd(p.file("template")),
		os.WriteFile(p.file("template/admin.conf"), s.certs.AdminConf("https://"+s.address(254)+":6443/cluster/CLUSTER"), 0o600))
	pair, err := s.authority.ControlPlane(p.name, []netip.Addr{netip.MustParseAddr(p.address())})
	s.must(err, os.WriteFile(p.file("ca.crt"), s.authority.Certificate(), 0o600), os.WriteFile(p.file("node.crt"), pair.Certificate, 0o600), os.WriteFile(p.file("node.key"), pair.Key.Reveal(), 0o600))
	p.configure(s.planes)
	inside := "-n " + p.space() + " "
	s.must(ip("netns add "+p.space()), ip(fmt.Sprintf("link add %s type veth peer name eth0 netns %s", p.veth(), p.space())),
		ip(fmt.Sprintf("link set %s master %s up", p.veth(), s.bridge())), ip(inside+"addr add "+p.address()+"/24 dev eth0"), ip(inside+"link set eth0 up"), ip(inside+"link set lo up"))
}

// configure writes the configuration of a document that was made when the spec had these control planes.
func (p *plane) configure(known []*plane) {
	s := p.s
	cfg := config.Config{
		Cluster: "k8s", Node: p.name, DataDir: p.file("data"), CA: p.file("ca.crt"), Certificate: p.file("node.crt"), Key: p.file("node.key"),
		AdminConf: p.file("kubernetes/admin.conf"), PKI: p.file("kubernetes/pki"), Discovery: p.file("discovery.conf"), Console: p.file("console"),
		Etcd: "https://" + s.address(254) + ":6443/etcd/" + p.name, Reset: p.kubeadm("reset"),
	}
	for _, other := range known {
		cfg.ControlPlanes = append(cfg.ControlPlanes, config.ControlPlane{Name: other.name, Address: other.address()})
	}
	data, err := json.Marshal(cfg)
	s.must(err, os.WriteFile(p.file("config.json"), data, 0o600))
}

func (p *plane) kubeadm(verb string) []string {
	return []string{os.Args[0], "kubeadm", verb, p.name, p.address(), p.file("kubernetes"), p.s.address(254) + ":8080", p.file("discovery.conf")}
}

// process starts the rendezvous with arguments in this machine's namespace.
func (p *plane) process(args ...string) (*exec.Cmd, error) {
	log, err := os.OpenFile(p.file("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command("ip", append([]string{"netns", "exec", p.space(), os.Args[0]}, args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), machineVariable+"=1", "MUSTER_TEST_TEMPLATE="+p.file("template"), initVariable+"="+p.s.initTakes.String())
	return cmd, cmd.Start()
}

// power starts the machine: what systemd would do, again and again.
func (p *plane) power() {
	p.s.group.Go(p.service)
	p.s.group.Go(p.bootstrap)
}

func (p *plane) service() {
	for p.powered() {
		p.once(&p.serve, "serve", "--config", p.file("config.json"))
		time.Sleep(200 * time.Millisecond)
	}
}

// powered waits until the machine has power; false: the test is over.
func (p *plane) powered() bool {
	for !p.ended() {
		p.mu.Lock()
		down := p.down
		p.mu.Unlock()
		if !down {
			return true
		}
		time.Sleep(50 * time.Millisecond)
	}
	return false
}

func (p *plane) ended() bool {
	select {
	case <-p.s.stopped:
		return true
	default:
		return false
	}
}

// once runs a process to its end and returns its exit code, -1 after a kill.
func (p *plane) once(slot **exec.Cmd, args ...string) int {
	cmd, err := p.start(slot, args)
	if err != nil {
		p.s.t.Errorf("%s: %v", p.name, err)
	}
	if err != nil || cmd == nil {
		return -1
	}
	_ = cmd.Wait() // the exit code says it
	p.mu.Lock()
	*slot = nil
	p.mu.Unlock()
	return cmd.ProcessState.ExitCode()
}

// start starts a process and notes it in slot, nil if the power went, the service was stopped or the test ended in
// between: at no time is there a process that is not noted.
func (p *plane) start(slot **exec.Cmd, args []string) (*exec.Cmd, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down || p.ended() || p.off && slot == &p.serve {
		return nil, nil
	}
	cmd, err := p.process(args...)
	if err == nil {
		*slot = cmd
	}
	return cmd, err
}

// bootstrap is what the bootstrap step does.
func (p *plane) bootstrap() {
	for p.powered() {
		code := p.agentRuns("init")
		if code == exitJoin {
			code = p.agentRuns("join")
		}
		if code == exitGood {
			close(p.done)
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func (p *plane) agentRuns(verb string) int {
	return p.once(&p.agent, append([]string{verb, "--config", p.file("config.json"), "--"}, p.kubeadm(verb)...)...)
}

func (p *plane) signal(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, cmd := range []*exec.Cmd{p.serve, p.agent} {
		if cmd != nil && cmd.Process != nil {
			_ = cmd.Process.Signal(sig) // it may have ended
		}
	}
}

func (p *plane) kill(slot **exec.Cmd) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if *slot != nil {
		_ = (*slot).Process.Kill() // it may have ended
		p.s.kills.Add(1)
	}
}

// setDown cuts the power, or gives it back. No process of the machine is left when the power is cut.
func (p *plane) setDown(down bool) {
	p.mu.Lock()
	p.down = down
	p.mu.Unlock()
	if !down {
		return
	}
	p.signal(syscall.SIGKILL)
	p.s.kills.Add(1)
	p.s.eventually(patience, p.name+" off", func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.serve != nil || p.agent != nil {
			return errors.New("a process runs")
		}
		return nil
	})
}

// stopService is systemctl stop, or start again.
func (p *plane) stopService(stop bool) {
	p.mu.Lock()
	p.off = stop
	if stop && p.serve != nil {
		_ = p.serve.Process.Kill() // it may have ended
	}
	p.mu.Unlock()
	p.s.eventually(patience, p.name+"'s service stopped", func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.off && p.serve != nil {
			return errors.New("it runs")
		}
		return nil
	})
}

func (p *plane) isolate(cut bool) {
	state := "up"
	if cut {
		state = "down"
	}
	if err := ip("link set " + p.veth() + " " + state); err != nil && !p.ended() {
		p.s.t.Error(err)
	}
}

// client is the operator's, of all control planes unless some are named.
func (s *site) client(planes ...*plane) *client.Client {
	if len(planes) == 0 {
		planes = s.planes
	}
	pair, err := s.authority.Operator()
	s.must(err)
	cert, err := pair.TLS()
	s.must(err)
	creds, err := load(config.Config{CA: s.planes[0].file("ca.crt"), Certificate: s.planes[0].file("node.crt"), Key: s.planes[0].file("node.key")})
	s.must(err)
	var servers []string
	for _, p := range planes {
		servers = append(servers, net.JoinHostPort(p.address(), fmt.Sprint(config.DefaultPort)))
	}
	c, err := client.New(client.Config{Servers: servers, Cluster: "k8s", CA: creds.ca, Certificate: cert})
	s.must(err)
	s.t.Cleanup(c.Close)
	return c
}

// eventually fails the test unless do succeeds in time.
func (s *site) eventually(within time.Duration, what string, do func() error) {
	s.t.Helper()
	deadline := time.Now().Add(within)
	for {
		err := do()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: not within %s: %v", what, within, err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func (s *site) status() (rendezvous.StatusReport, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	return s.client().Status(ctx)
}
