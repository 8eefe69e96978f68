package outdir

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// largeCluster is the output for 1,000 nodes of about 40 files each: mostly small texts, and one image.
func largeCluster() []File {
	const nodes, filesPerNode = 1000, 39
	random := rand.New(rand.NewPCG(1, 2))
	bytesOf := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte('a' + random.IntN(26))
		}
		return b
	}
	var files []File
	for n := range nodes {
		root := fmt.Sprintf("nodes/worker-%04d/", n)
		files = append(files, File{root + "seed.iso", [][]byte{bytesOf(64 << 10)}})
		for i := range filesPerNode {
			path := fmt.Sprintf("%sfiles/etc/part-%d/file-%02d", root, i/8, i)
			files = append(files, File{path, [][]byte{bytesOf(200 + random.IntN(4000))}})
		}
	}
	return files
}

// BenchmarkWrite1000 writes a large tree into a new folder, over itself, and over a tree of which every file
// differs, and copies it with cp -r in the same run. cp leaves everything in memory, whereas Write returns
// when it is on the disk: cp -r with a sync after it is the like for like.
func BenchmarkWrite1000(b *testing.B) {
	files := largeCluster()
	changed := make([]File, len(files))
	for i, f := range files {
		changed[i] = File{f.Path, append([][]byte{[]byte("changed ")}, f.Pieces...)}
	}
	base, err := os.MkdirTemp(os.Getenv(inNamespaceEnv), "outdir-bench-") // not on the tests' tmpfs
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(base)
	out, cp := filepath.Join(base, "out"), filepath.Join(base, "cp")
	var fresh, over, same, copied, synced time.Duration
	for b.Loop() {
		fresh += timed(b, func() error { _, err := Write(out, files, Options{}); return err })
		copied += timed(b, func() error { return exec.Command("cp", "-r", out, cp).Run() })
		synced += timed(b, func() error {
			root, err := os.Open(cp)
			if err != nil {
				return err
			}
			defer root.Close()
			return syncTree(root)
		})
		same += timed(b, func() error { _, err := Write(out, files, Options{}); return err })
		over += timed(b, func() error { _, err := Write(out, changed, Options{}); return err })
		for _, dir := range []string{out, cp} {
			if err := os.RemoveAll(dir); err != nil {
				b.Fatal(err)
			}
		}
		unix.Sync() // the next round must not pay for this one
	}
	report := func(name string, d time.Duration) {
		b.ReportMetric(d.Seconds()/float64(b.N), name)
	}
	report("s/write-new", fresh)
	report("s/write-changed", over)
	report("s/write-same", same)
	report("s/cp-r", copied)
	report("s/cp-r+sync", copied+synced)
	b.ReportMetric(fresh.Seconds()/copied.Seconds(), "write/cp")
}

func timed(b *testing.B, f func() error) time.Duration {
	b.Helper()
	start := time.Now()
	if err := f(); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}
