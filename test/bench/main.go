// Command bench measures gen as a user runs it, each figure beside a limit of the same run: copying the finished tree with
// cp -r, and the commands that people run in its place, butane and cloud-localds, once per node. It owns no figure of its
// own: what it prints is for docs/development.md, and nothing fails because a machine is slow.
//
//	go run ./test/bench -gen bin/gen -butane build/tools/butane
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// tried is for how many nodes the tools are run; their time for all follows from that, since each run is one node's.
const tried = 20

func main() {
	gen := flag.String("gen", "bin/gen", "the gen to measure")
	butane := flag.String("butane", "build/tools/butane", "the butane command")
	flag.Parse()
	if err := run(*gen, *butane); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(gen, butane string) error {
	folder, err := os.MkdirTemp("", "muster-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "MACHINES\tDOCUMENTS\tGEN\tPEAK MEMORY\tCP -R\tGEN/CP\tCP -R, SYNC\tGEN/BOTH\tBUTANE + CLOUD-LOCALDS\tTOOLS/GEN")
	for _, c := range []struct {
		machines, nodes, pools int
	}{{1, 1, 0}, {100, 100, 0}, {1000, 1000, 0}, {10000, 3, 10}} {
		line, err := measure(gen, butane, filepath.Join(folder, fmt.Sprint(c.machines)), spec(c.nodes, c.pools, c.machines), c.nodes+c.pools)
		if err != nil {
			return fmt.Errorf("%d machines: %w", c.machines, err)
		}
		fmt.Fprintf(table, "%d\t%d\t%s\n", c.machines, c.nodes+c.pools, line)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if err := sizes(gen, filepath.Join(folder, "sizes")); err != nil {
		return err
	}
	fmt.Printf("\ngen and cp -r are the best of three runs each; cp -r copies what gen wrote, on the same disk. What gen wrote is on the disk when it ends; what cp -r wrote is only after sync. The tools were run for at most %d documents, one process each, and their time taken times the rest.\n", tried)
	return nil
}

// sizes prints how large documents are: a worker's beside EC2's limit, a control plane's by delivery.
func sizes(gen, folder string) error {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\nPROFILE\tDELIVERY\tCONTROL PLANE\tWORKER\tEC2'S LIMIT")
	for _, c := range []struct{ profile, delivery, document string }{
		{"debian12-containerd", "embed", "user-data"}, {"debian12-containerd", "media", "user-data"}, {"debian12-containerd", "url", "user-data"},
		{"flatcar-containerd", "embed", "config.ign"}, {"flatcar-containerd", "url", "config.ign"},
	} {
		rendezvous := "  rendezvous: {delivery: " + c.delivery + "}\n  nodes:"
		if c.delivery == "url" {
			rendezvous = "  rendezvous: {delivery: url, url: \"https://files.example.com/rendezvous\"}\n  nodes:"
		}
		text := strings.NewReplacer("debian12-containerd", c.profile, "  nodes:", rendezvous).Replace(spec(2, 0, 2))
		into := filepath.Join(folder, c.profile+c.delivery)
		if err := os.MkdirAll(into, 0o700); err != nil {
			return err
		}
		file, out := filepath.Join(into, "cluster.yaml"), filepath.Join(into, "out")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return err
		}
		if _, _, err := timed(exec.Command(gen, "-spec", file, "-out", out)); err != nil {
			return err
		}
		plane, err := os.Stat(filepath.Join(out, "nodes/n0000", c.document))
		if err != nil {
			return err
		}
		worker, err := os.Stat(filepath.Join(out, "nodes/n0001", c.document))
		if err != nil {
			return err
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%d\n", c.profile, c.delivery, plane.Size(), worker.Size(), 16<<10)
	}
	return table.Flush()
}

// spec is a cluster of nodes, of which three are control planes, and of pools that share the other machines.
func spec(nodes, pools, machines int) string {
	var b strings.Builder
	b.WriteString("apiVersion: muster/v1\nkind: Cluster\nmetadata: {name: bench}\nspec:\n  profile: debian12-containerd\n" +
		"  kubernetes: {networking: {podSubnet: 10.128.0.0/9, serviceSubnet: 172.16.0.0/12}, controllerManager: {extraArgs: {node-cidr-mask-size: \"24\"}}}\n  nodes:\n")
	for i := range nodes {
		role := "worker"
		if i == 0 || i < 3 && nodes >= 3 {
			role = "control-plane"
		}
		fmt.Fprintf(&b, "    - {name: n%04d, role: %s, address: 10.1.%d.%d}\n", i, role, i/250, i%250+1)
	}
	if pools > 0 {
		b.WriteString("  pools:\n")
	}
	for i := range pools {
		fmt.Fprintf(&b, "    - {name: pool%d, role: worker, maxNodes: %d}\n", i, (machines-nodes)/pools)
	}
	return b.String()
}

// measure is one line of the table.
func measure(gen, butane, folder, spec string, documents int) (string, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", err
	}
	file, out := filepath.Join(folder, "cluster.yaml"), filepath.Join(folder, "out")
	if err := os.WriteFile(file, []byte(spec), 0o600); err != nil {
		return "", err
	}
	// The best of three, in turns: the machine's other work slows both. Nothing is removed in between, because file systems take longer to make files
	// while others go.
	var made, copied, synced time.Duration
	var peak int64
	for i := range 3 {
		syscall.Sync() // gen has what it writes on the disk, and would wait for what the last cp -r wrote
		into := out + strings.Repeat("+", i)
		took, memory, err := timed(exec.Command(gen, "-spec", file, "-out", into))
		if err != nil {
			return "", err
		}
		copying, _, err := timed(exec.Command("cp", "-r", into, into+"-copy"))
		if err != nil {
			return "", err
		}
		syncing, _, err := timed(exec.Command("sync", "--file-system", into+"-copy"))
		if err != nil {
			return "", err
		}
		if i == 0 {
			made, copied, synced = took, copying, copying+syncing
		}
		made, copied, synced, peak = min(made, took), min(copied, copying), min(synced, copying+syncing), max(peak, memory)
	}
	tools, err := byTools(butane, out, documents)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s\t%d MiB\t%s\t%.1f\t%s\t%.1f\t%s\t%.0f", seconds(made), peak>>10, seconds(copied), made.Seconds()/copied.Seconds(),
		seconds(synced), made.Seconds()/synced.Seconds(), seconds(tools), tools.Seconds()/made.Seconds()), nil
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

// timed runs a command, and returns its peak memory in KiB.
func timed(c *exec.Cmd) (time.Duration, int64, error) {
	begin := time.Now()
	if text, err := c.CombinedOutput(); err != nil {
		return 0, 0, fmt.Errorf("%s: %w: %s", filepath.Base(c.Path), err, text)
	}
	took := time.Since(begin)
	usage, ok := c.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0, 0, errors.New("this system tells no peak memory")
	}
	return took, usage.Maxrss, nil
}

// byTools makes the same documents as people do without gen: butane for the files, cloud-localds for the medium.
func byTools(butane, out string, documents int) (time.Duration, error) {
	folders, err := filepath.Glob(filepath.Join(out, "*s", "*")) // nodes and pools
	if err != nil || len(folders) != documents {
		return 0, fmt.Errorf("%d folders of machines in %s: %w", len(folders), out, err)
	}
	var total time.Duration
	some := folders[max(0, len(folders)-tried):] // workers: a control plane's program would be the tools' whole time
	for _, folder := range some {
		config, err := butaneConfig(folder)
		if err != nil {
			return 0, err
		}
		made, _, err := timed(exec.Command(butane, "--strict", "--files-dir", filepath.Join(folder, "files"), "--output", filepath.Join(folder, "tools.ign"), config))
		if err != nil {
			return 0, err
		}
		packed, _, err := timed(exec.Command("cloud-localds", filepath.Join(folder, "tools.iso"), filepath.Join(folder, "user-data"), filepath.Join(folder, "meta-data")))
		if err != nil {
			return 0, err
		}
		total += made + packed
	}
	return total * time.Duration(documents) / time.Duration(len(some)), nil
}

// butaneConfig writes the configuration that holds a machine's files.
func butaneConfig(folder string) (string, error) {
	root := filepath.Join(folder, "files")
	text := "variant: flatcar\nversion: 1.1.0\nstorage:\n  files:\n"
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(root, path)
		text += fmt.Sprintf("    - {path: %q, contents: {local: %q}}\n", "/"+name, name)
		return err
	})
	file := filepath.Join(folder, "tools.bu")
	return file, errors.Join(err, os.WriteFile(file, []byte(text), 0o600))
}
