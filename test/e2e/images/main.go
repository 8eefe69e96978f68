// Command images writes the container images of the end-to-end test, as docker archives: the programs that test/e2e builds, under the names that kubeadm
// and our flannel manifest ask for. It owns which image lies in which archive, and must not know where the archives go from here.
//
//	images -programs build/e2e/bin -base build/e2e/base -out build/e2e/layer/opt/images
package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// image is one image: its programs, by their path inside, and what runs by default.
type image struct {
	reference  string
	based      bool              // on the Debian files that hold iptables and cp
	programs   map[string]string // path inside: name of the program
	entrypoint string
}

// node are the images that every machine runs, controlPlane those of control planes.
func node(kubernetes map[string]string) []image {
	return []image{
		{kubernetes["pause"], false, map[string]string{"/pause": "pause"}, "/pause"},
		{kubernetes["kube-proxy"], true, map[string]string{"/usr/local/bin/kube-proxy": "kube-proxy"}, ""},
		{kubernetes["coredns"], false, map[string]string{"/coredns": "coredns"}, "/coredns"},
		{"ghcr.io/flannel-io/flannel:v0.28.4", true, map[string]string{"/opt/bin/flanneld": "flanneld"}, "/opt/bin/flanneld"},
		{"ghcr.io/flannel-io/flannel-cni-plugin:v1.8.0-flannel1", true, map[string]string{"/flannel": "cni/flannel"}, ""},
		{"docker.io/library/nginx:1.28-alpine", true, map[string]string{"/web": "web"}, "/web"},
	}
}

func controlPlane(kubernetes map[string]string) []image {
	var out []image
	for _, name := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd"} {
		out = append(out, image{kubernetes[name], false, map[string]string{"/usr/local/bin/" + name: name}, ""})
	}
	return out
}

func main() {
	log.SetFlags(0)
	programs := flag.String("programs", "", "the folder of the built programs")
	base := flag.String("base", "", "the folder that images with iptables start from")
	out := flag.String("out", "", "the folder for the archives")
	flag.Parse()

	kubernetes, err := kubeadmImages(filepath.Join(*programs, "kubeadm"))
	if err != nil {
		log.Fatal(err)
	}
	baseLayer, err := layerOf(func(w *tar.Writer) error { return addTree(w, *base) })
	if err != nil {
		log.Fatalf("base layer: %v", err)
	}
	for name, images := range map[string][]image{"node": node(kubernetes), "control-plane": controlPlane(kubernetes)} {
		if err := write(filepath.Join(*out, name+".tar"), *programs, baseLayer, images); err != nil {
			log.Fatal(err)
		}
	}
}

// kubeadmImages are the images that this kubeadm asks for by default, by the last word of their names.
func kubeadmImages(kubeadm string) (map[string]string, error) {
	version, err := exec.Command(kubeadm, "version", "-o", "short").Output()
	if err != nil {
		return nil, fmt.Errorf("%s version: %w", kubeadm, err)
	}
	list, err := exec.Command(kubeadm, "config", "images", "list", "--kubernetes-version", strings.TrimSpace(string(version))).Output()
	if err != nil {
		return nil, fmt.Errorf("%s config images list: %w", kubeadm, err)
	}
	images := map[string]string{}
	for reference := range strings.FieldsSeq(string(list)) {
		name, _, _ := strings.Cut(filepath.Base(reference), ":")
		images[name] = reference
	}
	return images, nil
}

// write puts the images into one docker archive.
func write(path, programs string, base []byte, images []image) error {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	var manifest []map[string]any
	written := map[string]bool{}
	for _, i := range images {
		own, err := layerOf(func(w *tar.Writer) error { return addPrograms(w, programs, i.programs) })
		if err != nil {
			return fmt.Errorf("%s: %w", i.reference, err)
		}
		layers := [][]byte{own}
		if i.based {
			layers = [][]byte{base, own}
		}
		entry, err := addImage(w, i, layers, written)
		if err != nil {
			return fmt.Errorf("%s: %w", i.reference, err)
		}
		manifest = append(manifest, entry)
	}
	text, err := json.Marshal(manifest)
	if err != nil {
		return err
	}
	if err := addFile(w, "manifest.json", 0o644, text); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile(path, archive.Bytes(), 0o644)
}

// addImage adds an image's layers, those that are not in the archive yet, and its configuration; it returns its entry of the manifest.
func addImage(w *tar.Writer, i image, layers [][]byte, written map[string]bool) (map[string]any, error) {
	var digests, names []string
	for _, layer := range layers {
		digest := digestOf(layer)
		digests, names = append(digests, "sha256:"+digest), append(names, digest+".tar")
		if written[digest] {
			continue
		}
		written[digest] = true
		if err := addFile(w, digest+".tar", 0o644, layer); err != nil {
			return nil, err
		}
	}
	run := map[string]any{"Env": []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}}
	if i.entrypoint != "" {
		run["Entrypoint"] = []string{i.entrypoint}
	}
	config, err := json.Marshal(map[string]any{
		"architecture": "amd64", "os": "linux", "config": run,
		"rootfs": map[string]any{"type": "layers", "diff_ids": digests},
	})
	if err != nil {
		return nil, err
	}
	name := digestOf(config) + ".json"
	return map[string]any{"Config": name, "RepoTags": []string{i.reference}, "Layers": names}, addFile(w, name, 0o644, config)
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func layerOf(fill func(*tar.Writer) error) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := fill(w); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func addPrograms(w *tar.Writer, folder string, programs map[string]string) error {
	for inside, name := range programs {
		contents, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			return err
		}
		if err := addFile(w, strings.TrimPrefix(inside, "/"), 0o755, contents); err != nil {
			return err
		}
	}
	return nil
}

// addFile writes no times and no owners but root, so that the same programs make the same archive.
func addFile(w *tar.Writer, name string, mode int64, contents []byte) error {
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(contents))}); err != nil {
		return err
	}
	_, err := w.Write(contents)
	return err
}

// addTree adds the folders, files and links below root.
func addTree(w *tar.Writer, root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			return w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: int64(info.Mode().Perm())})
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777})
		case info.Mode().IsRegular():
			return addRegular(w, path, name, info)
		}
		return nil // a base has no use for devices and sockets
	})
}

func addRegular(w *tar.Writer, path, name string, info fs.FileInfo) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: int64(info.Mode().Perm()), Size: info.Size()}); err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return err
}
