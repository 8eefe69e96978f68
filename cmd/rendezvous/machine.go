package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"muster/internal/rendezvous"
	"muster/internal/rendezvous/agent"
	"muster/internal/rendezvous/client"
	"muster/internal/rendezvous/config"
	"muster/internal/rendezvous/durable"
	"muster/internal/rendezvous/kubernetes"
)

// machine is agent.Machine on a real one.
type machine struct {
	cfg     config.Config
	kubeadm []string
	out     io.Writer
}

func newMachine(cfg config.Config, kubeadm []string, out io.Writer) *machine {
	return &machine{cfg: cfg, kubeadm: kubeadm, out: out}
}

func (m *machine) stateFile() string { return filepath.Join(m.cfg.DataDir+".agent", "state.json") }

// Load reads the agent's state.
func (m *machine) Load() (agent.State, error) {
	var s agent.State
	err := durable.ReadJSON(m.stateFile(), &s)
	return s, err
}

// Save replaces the agent's state; it is on disk when Save returns.
func (m *machine) Save(s agent.State) error { return durable.WriteJSON(m.stateFile(), s) }

// joined says whether this machine is in the cluster for good.
func (m *machine) joined() bool {
	s, err := m.Load()
	return err == nil && (s.InitDone || s.JoinRan)
}

// inCluster is joined, with the init that a store which is made again has to know of.
func (m *machine) inCluster() (rendezvous.Commit, bool) {
	if !m.joined() {
		return rendezvous.Commit{}, false
	}
	if _, err := os.Stat(m.cfg.AdminConf); err != nil {
		return rendezvous.Commit{}, false
	}
	return rendezvous.Commit{Node: m.cfg.Node, At: time.Now()}, true
}

// Reset undoes a half-done kubeadm.
func (m *machine) Reset(ctx context.Context) error {
	m.Say("undoing what an unfinished kubeadm left")
	return m.run(ctx, m.cfg.Reset)
}

// Run runs kubeadm.
func (m *machine) Run(ctx context.Context) error { return m.run(ctx, m.kubeadm) }

// tailSize is in bytes: enough for a last line of which the rendezvous keeps rendezvous.MaxText bytes.
const tailSize = 4096

// tail keeps the last line of what a command says to stderr, for the status of the node.
type tail struct {
	to   io.Writer
	last []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.last = append(t.last, p...)
	if len(t.last) > tailSize {
		t.last = t.last[len(t.last)-tailSize:]
	}
	return t.to.Write(p)
}

func (t *tail) line() string {
	lines := bytes.Split(bytes.TrimSpace(t.last), []byte("\n"))
	return string(lines[len(lines)-1])
}

// outputPatience is how long the output of a command is waited for after its end: a child in a process group of its own
// may hold it open.
const outputPatience = 5 * time.Second

// run runs a command in a process group of its own, which dies with ctx, and with this process however it ends: a
// kubeadm without its lease must not go on.
func (m *machine) run(ctx context.Context, argv []string) error {
	said := &tail{to: m.out}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = m.out, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = outputPatience
	// Pdeathsig is about the thread that started the process: it has to live as long.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := cmd.Run()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(argv[:min(2, len(argv))], " "), err, said.line())
	}
	return nil
}

// SaveCertificates lays the shared certificates into kubeadm's folder.
func (m *machine) SaveCertificates(r io.Reader) error {
	return kubernetes.Unpack(r, func(name string, data []byte) error {
		return durable.Replace(filepath.Join(m.cfg.PKI, filepath.FromSlash(name)), data)
	})
}

// SaveDiscovery writes the file for kubeadm join.
func (m *machine) SaveDiscovery(data []byte) error { return durable.Replace(m.cfg.Discovery, data) }

// Say writes one line to the journal and to the console, which need not exist.
func (m *machine) Say(text string) {
	line := "muster: rendezvous: " + text + "\n"
	_, _ = io.WriteString(m.out, line) // there is nobody else to tell
	if console, err := os.OpenFile(m.cfg.Console, os.O_WRONLY|os.O_APPEND|syscall.O_NOCTTY, 0); err == nil {
		_, _ = io.WriteString(console, line)
		_ = console.Close()
	}
}

// machineID tells this machine from one that boots a copy of its disk, as far as the firmware does.
func machineID() (string, error) {
	id, err := os.ReadFile("/etc/machine-id")
	if err != nil {
		return "", fmt.Errorf("this machine's identity: %w", err)
	}
	uuid, err := os.ReadFile("/sys/class/dmi/id/product_uuid")
	if err != nil {
		uuid = nil // not every machine has one
	}
	sum := sha256.Sum256(append(append(bytes.TrimSpace(id), '\n'), bytes.TrimSpace(uuid)...))
	return hex.EncodeToString(sum[:16]), nil
}

func newAgent(cfg config.Config, clock clock, kubeadm []string, out io.Writer) (*agent.Agent, error) {
	creds, err := load(cfg)
	if err != nil {
		return nil, err
	}
	api, err := creds.client(cfg)
	if err != nil {
		return nil, err
	}
	id, err := machineID()
	if err != nil {
		return nil, err
	}
	run := make([]byte, 16)
	if _, err := rand.Read(run); err != nil {
		return nil, fmt.Errorf("no randomness for this run: %w", err)
	}
	return &agent.Agent{API: api, Machine: newMachine(cfg, kubeadm, out), Node: cfg.Node, MachineID: id, Run: hex.EncodeToString(run), Sleep: clock.sleep}, nil
}

func runInit(ctx context.Context, cfg config.Config, clock clock, kubeadm []string, out io.Writer) error {
	a, err := newAgent(cfg, clock, kubeadm, out)
	if err != nil {
		return err
	}
	outcome, err := a.Init(ctx)
	if err == nil && outcome == agent.Join {
		err = errJoin
	}
	return err
}

func runJoin(ctx context.Context, cfg config.Config, clock clock, kubeadm []string, out io.Writer) error {
	a, err := newAgent(cfg, clock, kubeadm, out)
	if err != nil {
		return err
	}
	return a.Join(ctx)
}

func progress(ctx context.Context, cfg config.Config, args []string) error {
	api, id, err := caller(cfg)
	if err != nil {
		return err
	}
	report := rendezvous.Report{Claim: rendezvous.Claim{Machine: id}, Step: args[0]}
	if len(args) > 1 {
		report.Error = args[1]
	}
	return api.Progress(ctx, report)
}

func status(ctx context.Context, cfg config.Config, asJSON bool, out io.Writer) error {
	api, _, err := caller(cfg)
	if err != nil {
		return err
	}
	report, err := api.Status(ctx)
	if err != nil {
		return err
	}
	if !asJSON {
		return report.WriteTable(out)
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(report)
}

func caller(cfg config.Config) (*client.Client, string, error) {
	creds, err := load(cfg)
	if err != nil {
		return nil, "", err
	}
	id, err := machineID()
	if err != nil {
		return nil, "", err
	}
	api, err := creds.client(cfg)
	return api, id, err
}
