package outdir

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestModesWhateverTheUmask(t *testing.T) {
	for _, umask := range []int{0, 0o022, 0o077, 0o277, 0o777} {
		t.Run(fmt.Sprintf("%04o", umask), func(t *testing.T) {
			base := t.TempDir()
			must(t, os.Chmod(base, 0o775|os.ModeSetgid))
			out := filepath.Join(base, "out")
			old := unix.Umask(umask)
			_, err := Write(out, []File{text("nodes/a/user-data", "A")}, Options{})
			unix.Umask(old)
			must(t, err)
			for rel, got := range snapshot(t, out) {
				want := "-rw------- "
				if rel == "." || rel == "nodes" || rel == "nodes/a" {
					want = "drwx------ "
				}
				if !strings.HasPrefix(got, want) {
					t.Errorf("%s is %s, want %s", rel, got, want)
				}
			}
		})
	}
}

// mount mounts something for the time of the test.
func mount(t *testing.T, source, at, kind string, flags uintptr, data string) {
	t.Helper()
	if err := unix.Mount(source, at, kind, flags, data); err != nil {
		t.Fatalf("mount at %s: %v", at, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(at, unix.MNT_DETACH); err != nil && err != unix.EINVAL {
			t.Error(err)
		}
	})
}

func TestDiskFull(t *testing.T) {
	many := make([]File, 400)
	for i := range many {
		many[i] = text(fmt.Sprintf("nodes/%03d/user-data", i), "x")
	}
	for name, c := range map[string]struct {
		limit string
		next  []File
	}{
		"blocks": {"size=1m", []File{text("a", "A2"), text("b", "B"), {"nodes/c/seed.iso", [][]byte{bytes.Repeat([]byte("c"), 2<<20)}}}},
		"inodes": {"nr_inodes=300", many},
	} {
		for _, serial := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, serial=%v", name, serial), func(t *testing.T) {
				disk := t.TempDir()
				mount(t, "tmpfs", disk, "tmpfs", 0, c.limit)
				out := filepath.Join(disk, "out")
				mustWrite(t, out, text("a", "A"), text("b", "B"))
				put(t, filepath.Join(out, "notes"), "mine")
				before := snapshot(t, disk)
				opts := Options{}
				if serial {
					opts.Op = refusing(false, false)
				}
				_, err := Write(out, c.next, opts)
				wantError(t, err, out+": cannot ", ": no space left on device: free some space there or choose another -out")
				if !errors.Is(err, syscall.ENOSPC) {
					t.Errorf("the reason is lost: %v", err)
				}
				if strings.Contains(err.Error(), ".muster-") {
					t.Errorf("the error names a temporary path: %v", err)
				}
				wantSame(t, "disk", before, snapshot(t, disk))
				mustWrite(t, out, text("a", "A2"))
			})
		}
	}
}

// A disk that loses what it was given says so after write(2), and once: whenever that is, the new tree must not be taken
// for written, which would be the end of the old one.
func TestFailedWriteToTheDisk(t *testing.T) {
	for name, c := range map[string]struct {
		lost    string // the file
		written int    // how many files are when it is
	}{
		"before the first sync": {"a", 1}, "during the first sync": {"a", 3}, "after the first sync": {"d", 4},
	} {
		t.Run(name, func(t *testing.T) {
			disk, at := t.TempDir(), t.TempDir()
			mount(t, "tmpfs", disk, "tmpfs", 0, "size=40m")
			image, ballast := filepath.Join(disk, "image"), filepath.Join(disk, "ballast")
			mount(t, makeFileSystem(t, image), at, "ext4", 0, "errors=continue")
			out := filepath.Join(at, "out")
			mustWrite(t, out, text("a", "old"))

			big := bytes.Repeat([]byte("0123456789abcdef"), 20<<20/16)
			must(t, os.WriteFile(ballast, bytes.Repeat([]byte("x"), 32<<20), 0o600)) // leaves the image no room
			files := []File{text("a", "A"), text("b", "B"), text("c", "C"), text("d", "D")}
			files[slices.IndexFunc(files, func(f File) bool { return f.Path == c.lost })].Pieces = [][]byte{big}
			_, err := Write(out, files, Options{Progress: func(done, all int) {
				if done == c.written { // the write fails now, and when the last sync comes the disk is well again
					_ = exec.Command("sync", "-f", at).Run()
					must(t, os.Remove(ballast))
				}
			}})
			wantError(t, err, out+": cannot sync ")
			if got, err := os.ReadFile(filepath.Join(out, "a")); err != nil || string(got) != "old" {
				t.Errorf("the old tree is gone: %q, %v", got[:min(len(got), 20)], err)
			}
			wantNoLeftovers(t, out)
		})
	}
}

// makeFileSystem makes a file system in a sparse file and returns its loop device.
func makeFileSystem(t *testing.T, image string) string {
	t.Helper()
	must(t, os.WriteFile(image, nil, 0o600))
	must(t, os.Truncate(image, 200<<20))
	run(t, "mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-E", "nodiscard,lazy_itable_init=0", image)
	device := strings.TrimSpace(run(t, "losetup", "-f", "--show", image))
	t.Cleanup(func() { run(t, "losetup", "-d", device) })
	return device
}

func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, args...).Output()
	if err != nil {
		t.Fatalf("%s %q: %v", program, args, err)
	}
	return string(out)
}

func TestReadOnlyFileSystem(t *testing.T) {
	disk := t.TempDir()
	mount(t, "tmpfs", disk, "tmpfs", 0, "size=1m")
	out := filepath.Join(disk, "out")
	mustWrite(t, out, text("a", "A"))
	before := snapshot(t, disk)
	must(t, unix.Mount("", disk, "", unix.MS_REMOUNT|unix.MS_RDONLY, "size=1m"))
	_, err := Write(out, []File{text("a", "B")}, Options{})
	wantError(t, err, out+": cannot lock ", ": read-only file system: choose another -out, on a file system that can be written")
	wantSame(t, "disk", before, snapshot(t, disk))
	if _, err := Read(out); err != nil {
		t.Errorf("Read: %v", err)
	}
	if _, err := Compare(out, []File{text("a", "B")}); err != nil {
		t.Errorf("Compare: %v", err)
	}
}

func TestMounts(t *testing.T) {
	for name, c := range map[string]struct {
		mount func(t *testing.T, base, out string)
		want  string
	}{
		"the folder": {func(t *testing.T, base, out string) { mount(t, "tmpfs", out, "tmpfs", 0, "") },
			": is a mount point and cannot be replaced as a whole: choose a folder in it, such as "},
		"the folder, bound": {func(t *testing.T, base, out string) { mount(t, out, out, "", unix.MS_BIND, "") },
			": is a mount point and cannot be replaced as a whole"},
		"a file system in it": {func(t *testing.T, base, out string) {
			must(t, os.Mkdir(filepath.Join(out, "data"), 0o755))
			mount(t, "tmpfs", filepath.Join(out, "data"), "tmpfs", 0, "")
			put(t, filepath.Join(out, "data/precious"), "p")
		}, ": data is a mount point inside the folder, which is replaced as a whole: unmount it"},
		"a folder bound into it": {func(t *testing.T, base, out string) {
			put(t, filepath.Join(base, "data/precious"), "p")
			must(t, os.Mkdir(filepath.Join(out, "nodes/data"), 0o755))
			mount(t, filepath.Join(base, "data"), filepath.Join(out, "nodes/data"), "", unix.MS_BIND, "")
		}, ": nodes/data is a mount point"},
		"a file bound over one of ours": {func(t *testing.T, base, out string) {
			put(t, filepath.Join(base, "data/precious"), "p")
			mount(t, filepath.Join(base, "data/precious"), filepath.Join(out, "nodes/a"), "", unix.MS_BIND, "")
		}, ": nodes/a is a mount point"},
	} {
		t.Run(name, func(t *testing.T) {
			base := t.TempDir()
			out := filepath.Join(base, "out")
			mustWrite(t, out, text("nodes/a", "A"))
			c.mount(t, base, out)
			before := snapshot(t, base)
			_, err := Write(out, []File{text("nodes/a", "B")}, Options{})
			wantError(t, err, out+c.want)
			wantSame(t, "everything", before, snapshot(t, base))
		})
	}
	t.Run("a folder inside a mount point", func(t *testing.T) {
		base := t.TempDir()
		mount(t, "tmpfs", base, "tmpfs", 0, "")
		must(t, os.Mkdir(filepath.Join(base, "out"), 0o755))
		mustWrite(t, filepath.Join(base, "out"), text("a", "A"))
	})
}

const somebody = 65534 // a user without rights

// asSomebody makes a folder that belongs to an ordinary user.
func asSomebody(t *testing.T) string {
	t.Helper()
	base := t.TempDir()
	for dir := base; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		must(t, os.Chmod(dir, 0o755))
	}
	must(t, os.Chown(base, somebody, somebody))
	return base
}

func (run childRun) asUser(t *testing.T) childResult {
	t.Helper()
	run.KillAt, run.UID = -1, somebody
	res, killed := run.start(t)
	if killed {
		t.Fatal("killed")
	}
	return res
}

func TestOrdinaryUser(t *testing.T) {
	base := asSomebody(t)
	out := filepath.Join(base, "out")
	if res := (childRun{Dir: out, Files: oldFiles}).asUser(t); res.Err != "" {
		t.Fatal(res.Err)
	}
	// A folder that forbids changes, one of a group that the user is not in, and things of root's, which may not be linked
	// nor be given to root again.
	put(t, filepath.Join(out, "mine/notes"), "n")
	must(t, os.Chown(filepath.Join(out, "mine"), somebody, somebody))
	must(t, os.Chmod(filepath.Join(out, "mine"), 0o555))
	must(t, os.Chown(filepath.Join(out, "mine/notes"), somebody, somebody))
	must(t, os.Mkdir(filepath.Join(out, "assets"), 0o755))
	must(t, os.Chown(filepath.Join(out, "assets"), somebody, 0))
	notes, old := filepath.Join(out, "nodes/a/notes"), time.Date(2001, 2, 3, 4, 5, 6, 7000, time.UTC)
	put(t, notes, "r")
	must(t, os.Chmod(notes, 0o755|fs.ModeSetuid|fs.ModeSetgid))
	must(t, os.Chtimes(notes, old, old))
	must(t, os.Symlink("notes", filepath.Join(out, "nodes/a/link")))
	res := childRun{Dir: out, Files: newFiles}.asUser(t)
	if res.Err != "" || !res.Result.Written {
		t.Fatalf("%+v", res)
	}
	wantSame(t, "kept", []string{"mine/notes", "nodes/a/link", "nodes/a/notes"}, res.Result.Kept)
	after := snapshot(t, out)
	wantSame(t, "folder", `dr-xr-xr-x ""`, after["mine"])
	wantSame(t, "root's file", `-rwxr-xr-x "r"`, after["nodes/a/notes"])
	wantSame(t, "time of root's file", old, lstat(t, notes).ModTime().UTC())
	wantSame(t, "root's symlink", `Lrwxrwxrwx "notes"`, after["nodes/a/link"])
	wantNoLeftovers(t, out)
	before := snapshot(t, base)

	t.Run("parent cannot be written", func(t *testing.T) {
		must(t, os.Chmod(base, 0o555))
		defer os.Chmod(base, 0o755)
		res := childRun{Dir: out, Files: oldFiles}.asUser(t)
		wantError(t, errors.New(res.Err), out+": cannot lock ", ": permission denied: make the folder and its parent writable for this user, or choose another -out")
	})
	t.Run("parent cannot be read", func(t *testing.T) {
		must(t, os.Chmod(base, 0o333))
		defer os.Chmod(base, 0o755)
		res := childRun{Dir: out, Files: oldFiles}.asUser(t)
		wantError(t, errors.New(res.Err), out+": cannot sync "+base+": permission denied")
	})
	t.Run("folder cannot be read", func(t *testing.T) {
		must(t, os.Chmod(filepath.Join(out, "mine"), 0))
		defer os.Chmod(filepath.Join(out, "mine"), 0o555)
		res := childRun{Dir: out, Files: oldFiles}.asUser(t)
		wantError(t, errors.New(res.Err), out+": cannot read mine: permission denied")
	})
	t.Run("folder of another user inside", func(t *testing.T) {
		must(t, os.Chown(filepath.Join(out, "mine"), 0, 0))
		defer os.Chown(filepath.Join(out, "mine"), somebody, somebody)
		res := childRun{Dir: out, Files: oldFiles}.asUser(t)
		wantError(t, errors.New(res.Err), out+"/mine belongs to another user, so it cannot be moved along: chown -R it to the user who runs gen")
	})
	for _, rel := range []string{"", "/nodes"} {
		t.Run("folder of another user, out"+rel, func(t *testing.T) {
			must(t, os.Chown(out+rel, 0, 0))
			must(t, os.Chmod(out+rel, 0o755))
			defer os.Chown(out+rel, somebody, somebody)
			defer os.Chmod(out+rel, folderMode)
			res := childRun{Dir: out, Files: oldFiles}.asUser(t)
			wantError(t, errors.New(res.Err), out+": "+out+rel+" belongs to another user, so it cannot be moved along")
		})
	}
	t.Run("file of another user that cannot be read", func(t *testing.T) {
		put(t, filepath.Join(out, "secret"), "s")
		must(t, os.Chmod(filepath.Join(out, "secret"), 0o600))
		defer os.Remove(filepath.Join(out, "secret"))
		res := childRun{Dir: out, Files: oldFiles}.asUser(t)
		wantError(t, errors.New(res.Err), out+"/secret belongs to another user, so it cannot be moved along: chown -R it")
	})
	t.Run("leftover of another user", func(t *testing.T) {
		put(t, filepath.Join(base, ".out.muster-swap/evil"), "e")
		defer os.RemoveAll(filepath.Join(base, ".out.muster-swap"))
		res := childRun{Dir: out, Files: oldFiles}.asUser(t)
		wantError(t, errors.New(res.Err), ".out.muster-swap is in the way and was not left by a run of this user")
	})
	wantSame(t, "everything", before, snapshot(t, base))
}

// Root may carry things of anybody's, and they stay theirs.
func TestOwnersAreKept(t *testing.T) {
	const user, group = 1234, 5678
	for name, noLinks := range map[string]bool{"linked": false, "copied": true} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			mustWrite(t, out, text("a", "A"))
			put(t, filepath.Join(out, "theirs/file"), "f")
			must(t, os.Symlink("file", filepath.Join(out, "theirs/link")))
			theirs := []string{"theirs", "theirs/file", "theirs/link"}
			for _, rel := range theirs {
				must(t, os.Lchown(filepath.Join(out, rel), user, group))
			}
			_, err := Write(out, []File{text("a", "A2")}, Options{Op: refusing(false, noLinks)})
			must(t, err)
			for _, rel := range theirs {
				st := lstat(t, filepath.Join(out, rel)).Sys().(*syscall.Stat_t)
				wantSame(t, "owner of "+rel, [2]uint32{user, group}, [2]uint32{st.Uid, st.Gid})
			}
			wantNoLeftovers(t, out)
		})
	}
}

func TestMoveThatFails(t *testing.T) {
	base := t.TempDir()
	must(t, os.Mkdir(filepath.Join(base, "mine"), 0o755))
	must(t, os.Chmod(filepath.Join(base, "mine"), 0o555))
	before := snapshot(t, base)
	wantError(t, move(filepath.Join(base, "mine"), filepath.Join(base, "missing/mine")), "no such file or directory")
	wantSame(t, "everything", before, snapshot(t, base))
}

// What the system answers to something that it cannot do must not be taken for a failure, nor the other way round.
func TestRefusals(t *testing.T) {
	for err, want := range map[error]struct{ link, exchange bool }{
		unix.EPERM:            {link: true},
		unix.EMLINK:           {link: true},
		unix.EXDEV:            {link: true},
		unix.EOPNOTSUPP:       {link: true, exchange: true},
		unix.ENOSYS:           {link: true, exchange: true},
		unix.EINVAL:           {exchange: true},
		errors.ErrUnsupported: {link: true, exchange: true},
		unix.ENOSPC:           {},
		unix.EIO:              {},
	} {
		if got := linkRefused(fmt.Errorf("x: %w", err)); got != want.link {
			t.Errorf("linkRefused(%v) is %v", err, got)
		}
		if got := exchangeUnsupported(fmt.Errorf("x: %w", err)); got != want.exchange {
			t.Errorf("exchangeUnsupported(%v) is %v", err, got)
		}
	}
}

// A folder that was deleted after a kill comes back, also one that forbids writing.
func TestReadOnlyFolderComesBack(t *testing.T) {
	base := asSomebody(t)
	out, left := filepath.Join(base, "out"), filepath.Join(base, ".out.muster-swap/mine")
	if res := (childRun{Dir: out, Files: oldFiles}).asUser(t); res.Err != "" {
		t.Fatal(res.Err)
	}
	put(t, filepath.Join(out, "mine/notes"), "n")
	must(t, os.Chown(filepath.Join(out, "mine"), somebody, somebody))
	must(t, os.Chmod(filepath.Join(out, "mine"), 0o555))
	for n := 0; ; n++ {
		if _, killed := (childRun{Dir: out, Files: newFiles, KillAt: n, UID: somebody}).start(t); !killed {
			t.Fatal("no kill left the folder")
		}
		if _, err := os.Lstat(left); err == nil {
			break
		}
	}
	before := snapshot(t, filepath.Join(out, "mine"))
	must(t, os.RemoveAll(filepath.Join(out, "mine")))
	if res := (childRun{Dir: out, Files: newFiles}).asUser(t); res.Err != "" {
		t.Error(res.Err)
	}
	wantSame(t, "the folder", before, snapshot(t, filepath.Join(out, "mine")))
	wantNoLeftovers(t, out)
}

// What is not a file, folder or symlink is linked like a file.
func TestForeignPipeIsKept(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	mustWrite(t, out, text("a", "A"))
	must(t, unix.Mkfifo(filepath.Join(out, "pipe"), 0o640))
	before := lstat(t, filepath.Join(out, "pipe"))
	if _, err := Write(out, []File{text("a", "B")}, Options{Op: deadFrom("exchange", "")}); err == nil {
		t.Fatal("not killed")
	}
	mustWrite(t, out, text("a", "B"))
	if !os.SameFile(before, lstat(t, filepath.Join(out, "pipe"))) {
		t.Error("the pipe is another one")
	}
	wantNoLeftovers(t, out)
}

// The lock's file stays after a kill. The next run of the same user takes it, whatever the umask was; one of another user
// is told what to do.
func TestLockLeftByAKill(t *testing.T) {
	const refused = ": permission denied: another user's run holds it or was killed: remove it if no run is at work"
	killed := func(uid, umask int) func(t *testing.T, out string) {
		return func(t *testing.T, out string) {
			old := unix.Umask(umask)
			defer unix.Umask(old)
			if _, killed := (childRun{Dir: out, Files: newFiles, KillAt: 1, UID: uid}).start(t); !killed {
				t.Fatal("not killed")
			}
		}
	}
	for name, c := range map[string]struct {
		leave func(t *testing.T, out string)
		want  string
	}{
		"umask 0022": {killed(somebody, 0o022), ""},
		"umask 0277": {killed(somebody, 0o277), ""},
		"umask 0777": {killed(somebody, 0o777), ""},
		"killed before the mode was set": {func(t *testing.T, out string) {
			killed(somebody, 0o022)(t, out)
			must(t, os.Chmod(filepath.Join(out, "../.out.muster-lock"), 0o400))
		}, ""},
		"of root": {killed(0, 0o022), refused},
	} {
		t.Run(name, func(t *testing.T) {
			base := asSomebody(t)
			out, lock := filepath.Join(base, "out"), filepath.Join(base, ".out.muster-lock")
			c.leave(t, out)
			if _, err := os.Lstat(lock); err != nil {
				t.Fatalf("the kill left nothing: %v", err)
			}
			res := (childRun{Dir: out, Files: newFiles}).asUser(t)
			if c.want != "" {
				wantError(t, errors.New(res.Err), out+": cannot open "+lock+c.want)
				must(t, os.Remove(lock))
				res = (childRun{Dir: out, Files: newFiles}).asUser(t)
			}
			if res.Err != "" || !res.Result.Written {
				t.Errorf("%+v", res)
			}
			wantNoLeftovers(t, out)
		})
	}
}

// A link put at the lock's name by somebody else must not make the run open what it leads to.
func TestLockIsNotFollowed(t *testing.T) {
	base := t.TempDir()
	out := filepath.Join(base, "out")
	must(t, os.Symlink("victim", filepath.Join(base, ".out.muster-lock")))
	_, err := Write(out, []File{text("a", "A")}, Options{})
	wantError(t, err, out+": cannot lock ")
	wantSame(t, "everything", 2, len(snapshot(t, base)))
}
