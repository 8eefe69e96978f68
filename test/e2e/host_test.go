//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	groups     = "/sys/fs/cgroup"
	groupOfAll = "muster-e2e"

	bridge  = "br0"
	gateway = "10.77.0.1" // of the specs in examples/e2e

	recordFile = build + "/settings.json"
)

// makeNetwork makes the bridge that machines are plugged into. Nothing lies behind the gateway, and it says so at once: a machine whose packets vanish
// would wait for each of them.
func makeNetwork() error {
	for _, command := range []string{
		"ip link set lo up",
		"ip link add " + bridge + " type bridge",
		"ip address add " + gateway + "/24 dev " + bridge,
		"ip link set " + bridge + " up",
		"ip route add unreachable default",
	} {
		words := strings.Fields(command)
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", command, err, out)
		}
	}
	return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0)
}

// room is the part of the host's disk that has to be free: kubelets evict pods below 15 % (imagefs.available), and machines write some gigabytes.
const room = 0.18

func checkRoom() error {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(build, &disk); err != nil {
		return fmt.Errorf("%s: %w", build, err)
	}
	if needed := uint64(room * float64(disk.Blocks)); disk.Bavail < needed {
		const gigabyte = 1e9
		size := float64(disk.Bsize) / gigabyte
		return fmt.Errorf("the file system of %s has %.0f GB free and needs %.0f: kubelets would evict their pods", absolute(build), float64(disk.Bavail)*size, float64(needed)*size)
	}
	return nil
}

// hierarchies are the mounted hierarchies of control groups.
func hierarchies() ([]string, error) {
	files, err := filepath.Glob(groups + "/*/cgroup.procs")
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("there are no control groups in %s", groups)
	}
	for i, file := range files {
		files[i] = filepath.Dir(file)
	}
	return files, nil
}

// makeGroup makes a control group in every hierarchy and returns their files of members. A cpuset without processors takes none.
func makeGroup(name string) ([]string, error) {
	all, err := hierarchies()
	if err != nil {
		return nil, err
	}
	var members []string
	for _, hierarchy := range all {
		above := hierarchy
		for part := range strings.SplitSeq(name, "/") {
			dir := filepath.Join(above, part)
			if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				return nil, err
			}
			if err := inherit(above, dir, "cpuset.cpus", "cpuset.mems"); err != nil {
				return nil, err
			}
			above = dir
		}
		members = append(members, filepath.Join(above, "cgroup.procs"))
	}
	return members, nil
}

func inherit(above, dir string, files ...string) error {
	for _, file := range files {
		value, err := os.ReadFile(filepath.Join(above, file))
		if errors.Is(err, fs.ErrNotExist) {
			return nil // another hierarchy
		}
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, file), value, 0); err != nil {
			return err
		}
	}
	return nil
}

// killGroup kills what runs in a group until nothing does.
func killGroup(name string) error {
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		pids, err := membersOf(name)
		if err != nil || len(pids) == 0 {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("processes %v of %s do not die", pids, name)
		}
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have died just now
		}
		if err := thaw(name); err != nil {
			return err
		}
	}
}

// thaw lets frozen processes die. runc freezes a container to set it up, and may itself have been killed before it thawed it.
func thaw(name string) error {
	return filepath.WalkDir(filepath.Join(groups, "freezer", name), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "freezer.state" {
			err = os.WriteFile(path, []byte("THAWED"), 0)
		}
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV) {
			return nil // a group may go while it is looked at
		}
		return err
	})
}

// membersOf are the living processes of a group and those below it. One hierarchy tells: every machine entered all of them at its start.
func membersOf(name string) ([]int, error) {
	var pids []int
	err := filepath.WalkDir(filepath.Join(groups, "systemd", name), func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a group may go while it is looked at
		}
		if err != nil || d.Name() != "cgroup.procs" {
			return err
		}
		text, err := os.ReadFile(path)
		for word := range strings.FieldsSeq(string(text)) {
			var pid int
			if _, err := fmt.Sscan(word, &pid); err == nil && pid > 0 && alive(pid) {
				pids = append(pids, pid)
			}
		}
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV) {
			return nil
		}
		return err
	})
	return pids, err
}

// alive reports whether a process is more than an entry that nobody has read yet.
func alive(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

// removeGroups removes a group and those below it from every hierarchy, once the last process in them is gone.
func removeGroups(name string) error {
	if err := killGroup(name); err != nil {
		return err
	}
	all, err := hierarchies()
	if err != nil {
		return err
	}
	for _, hierarchy := range all {
		var dirs []string
		err := filepath.WalkDir(filepath.Join(hierarchy, name), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, dir := range slices.Backward(dirs) {
			if err := removeGroup(dir); err != nil {
				return err
			}
		}
	}
	return nil
}

func removeGroup(dir string) error {
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err := os.Remove(dir)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("cannot remove the control group: %w", err)
		}
	}
}

// settings reads what machines could change of the host: kernel settings that belong to no namespace. What the kernel counts by itself is no setting.
func settings() map[string]string {
	values := map[string]string{}
	for _, area := range []string{"kernel", "vm", "fs"} {
		_ = filepath.WalkDir("/proc/sys/"+area, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return nil
			}
			info, err := d.Info()
			if err != nil || info.Mode()&0o200 == 0 || info.Mode()&0o400 == 0 || strings.HasPrefix(path, "/proc/sys/kernel/random/") || d.Name() == "ns_last_pid" {
				return nil
			}
			if value, err := os.ReadFile(path); err == nil {
				values[path] = string(value)
			}
			return nil
		})
	}
	return values
}

func recordSettings() error {
	text, err := json.MarshalIndent(settings(), "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(recordFile, text, 0o600)
}

// raiseLimits makes room for several machines where the kernel's defaults are for one: all root users of the host's user namespace share these.
// A kubelet that gets no inotify instance does not start.
func raiseLimits() error {
	for name, value := range map[string]string{"max_user_instances": "8192", "max_user_watches": "524288"} {
		if err := os.WriteFile("/proc/sys/fs/inotify/"+name, []byte(value), 0); err != nil {
			return fmt.Errorf("cannot make room for the machines: %w", err)
		}
	}
	return nil
}

// restoreSettings sets back what differs from the record, and forgets the record.
func restoreSettings() error {
	text, err := os.ReadFile(recordFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	before := map[string]string{}
	if err := json.Unmarshal(text, &before); err != nil {
		return fmt.Errorf("%s: %w", recordFile, err)
	}
	now := settings()
	for path, value := range before {
		if now[path] == value {
			continue
		}
		if err := os.WriteFile(path, []byte(value), 0); err != nil {
			return fmt.Errorf("cannot set %s back to %q: %w", path, value, err)
		}
	}
	return os.Remove(recordFile)
}
