package spec

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

var (
	mountTargetRules  = []func(*validator, Target){ruleEtcdDisk}
	mountClusterRules = []func(*validator){ruleComponentFile, ruleAuditLog}
)

// readsFile are the flags by which a control plane program names a file that it reads before it serves.
var readsFile = regexp.MustCompile(`^config$|-config$|-(config|policy|auth)-file$|(ca|cert|key)-?file$|^tls-sni-cert-key$|^kubelet-(certificate-authority|client-certificate|client-key)$`)

// Rule: a file that a flag of the API server, controller manager or scheduler names lies where the program's container
// sees it: in a folder that kubeadm mounts, or in one of extraVolumes of the patch of ClusterConfiguration (a warning).
func ruleComponentFile(v *validator) {
	for _, c := range v.components() {
		for _, arg := range c.args.Entries {
			file, _, pair := strings.Cut(arg.Value.V, ",")
			if c.block == "" || !readsFile.MatchString(arg.Key) || v.sees(c, file) || v.patchesPods() {
				continue
			}
			place, kind := file, "File"
			if pair { // of tls-sni-cert-key, whose key lies beside the certificate
				place, kind = path.Dir(file), "Directory"
			}
			v.warnf(arg.Value.At, extraVolume(c.block, "name: "+arg.Key+", hostPath: "+place+", mountPath: "+place+", pathType: "+kind+", readOnly: true"),
				"%s does not start: its container does not see the machine's %s", c.name, file)
		}
	}
}

// Rule: the API server writes its audit log into a folder of the machine's, which extraVolumes of the patch of
// ClusterConfiguration mounts, and not read-only (a warning).
func ruleAuditLog(v *validator) {
	server := v.components()[0]
	log, _ := server.args.Get("audit-log-path")
	if !path.IsAbs(log.V) || inTree(log.V, "/dev") || v.patchesPods() {
		return // - is the standard output
	}
	folder := path.Dir(log.V)
	volume, mounted := v.volume(server.block, log.V)
	switch {
	case mounted && volume["readOnly"] == true:
		v.warnf(log.At, "leave readOnly out of the volume", "kube-apiserver does not start: it may only read what is mounted at %s", volume["mountPath"])
	case mounted:
	case folder == "/" || v.sees(server, log.V):
		v.warnf(log.At, "write a file in a folder of its own, such as /var/log/kubernetes/audit.log, and mount that folder", "kube-apiserver's container cannot keep a log at %s", log.V)
	default:
		v.warnf(log.At, extraVolume(server.block, "name: audit-log, hostPath: "+folder+", mountPath: "+folder+", pathType: DirectoryOrCreate"),
			"the log is lost with kube-apiserver's container, which does not see the machine's %s", folder)
	}
}

func extraVolume(block, volume string) string {
	return "write spec.kubernetes.patches: {ClusterConfiguration: {" + block + ": {extraVolumes: [{" + volume + "}]}}}"
}

// kubeadmMounts are folders and files that kubeadm mounts into the containers of programs, by their block, beside certificatesDir
// (getHostPathVolumesForTheControlPlane of the releases from 1.17 to 1.34). Some are there only on machines that have them.
var kubeadmMounts = map[string][]string{
	"apiServer": caFolders,
	"controllerManager": append([]string{"/etc/kubernetes/controller-manager.conf", "/usr/libexec/kubernetes/kubelet-plugins/volume/exec"},
		caFolders...),
	"scheduler": {"/etc/kubernetes/scheduler.conf"},
}

var caFolders = []string{"/etc/ssl/certs", "/etc/pki", "/etc/ca-certificates", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates"}

// sees reports whether a program's container has a file of the machine's. What is no absolute path is not judged.
func (v *validator) sees(c component, file string) bool {
	folders := append([]string{"/dev"}, kubeadmMounts[c.block]...)
	if c.block != "scheduler" {
		folders = append(folders, v.Spec.Kubernetes.CertificatesDir.V)
	}
	_, extra := v.volume(c.block, file)
	return extra || !path.IsAbs(file) || slices.ContainsFunc(folders, func(folder string) bool { return inTree(file, folder) })
}

// volume is the one of kubeadm's extraVolumes in which a path of a program's container lies.
func (v *validator) volume(block, file string) (volume map[string]any, found bool) {
	patch, _ := v.Spec.Kubernetes.Patches.Get("ClusterConfiguration")
	_, volumes := followPatch(patch.V, []string{block, "extraVolumes"})
	list, _ := volumes.([]any)
	for _, item := range list {
		volume, _ := item.(map[string]any)
		if at, _ := volume["mountPath"].(string); path.IsAbs(at) && inTree(file, path.Clean(at)) {
			return volume, true
		}
	}
	return nil, false
}

// extType finds a mount unit whose file system is born with a folder lost+found.
var extType = regexp.MustCompile(`(?m)^\s*Type\s*=\s*ext[234]\s*$`)

// Rule: a disk that is mounted at /var/lib/etcd has no lost+found when kubeadm comes, which wants the folder empty, or the
// check is ignored (a warning).
func ruleEtcdDisk(v *validator, t Target) {
	ignored := func(check Value[string]) bool {
		return strings.EqualFold(check.V, "all") || strings.EqualFold(check.V, "DirAvailable--var-lib-etcd")
	}
	removed := func(command Value[string]) bool { return strings.Contains(command.V, "lost+found") }
	if !t.IsControlPlane() || slices.ContainsFunc(t.Kubernetes.IgnorePreflightErrors.Items, ignored) || slices.ContainsFunc(t.Commands.Before.Items, removed) {
		return
	}
	for _, unit := range t.Units.Items {
		if unit.Name.V == "var-lib-etcd.mount" && extType.MatchString(unit.Contents.V) {
			v.warnf(unit.Contents.At, `write commands: {before: ["rm -df /var/lib/etcd/lost+found"]}`, "kubeadm takes only an empty /var/lib/etcd, and this file system has a lost+found")
		}
	}
}
