#!/usr/bin/env bash
# Writes the Go module that builds one release of kubeadm: kubeadm-vX.Y.Z/go.mod and go.sum beside this script.
#
#   test/tools/kubeadm-module.sh v1.34.4
#
# Needed only to add or move a release; `make tools` builds from what is committed. Not every patch of every release has all its staging modules
# in the module proxy (1.31.14 and 1.25.16 have not): take another patch of the same minor then.
set -euo pipefail

version=${1:?usage: kubeadm-module.sh vX.Y.Z}
staging=v0.${version#v1.}
cd "$(dirname "$0")"
upstream=$(go mod download -json "k8s.io/kubernetes@$version" | jq -r .GoMod)
mkdir -p "kubeadm-$version"
cd "kubeadm-$version"

# Inside the Kubernetes repository the staging modules are folders, required at v0.0.0; each is published as v0.Y.Z. The replacements of third
# parties count only in the main module, which is ours here, so they are repeated.
go mod edit -json "$upstream" | jq -r --arg version "$version" --arg staging "$staging" '
  "// Written by ../kubeadm-module.sh, which says why: change that.", "module muster/test/tools/kubeadm-\($version)", "go 1.26", "tool k8s.io/kubernetes/cmd/kubeadm", "require k8s.io/kubernetes \($version)",
  ([.Require[] | select(.Version == "v0.0.0") | .Path] | unique[] | "replace \(.) => \(.) \($staging)"),
  (.Replace // [] | .[] | select(.New.Version) | "replace \(.Old.Path) => \(.New.Path) \(.New.Version)")' >go.mod

# vbom.ml is gone; json-iterator with a reflect2 before 1.0.2 crashes in programs of a current Go when it encodes a map (`kubeadm config migrate`).
if grep -q '^replace vbom.ml/util ' go.mod; then
  go mod edit -replace vbom.ml/util=github.com/fvbommel/util@v0.0.0-20180919145318-efcd4e0f9787
fi
if grep -Eq '^replace github.com/modern-go/reflect2 .* v1\.0\.[01]$' go.mod; then
  go mod edit -replace github.com/modern-go/reflect2=github.com/modern-go/reflect2@v1.0.2
  go mod edit -replace github.com/json-iterator/go=github.com/json-iterator/go@v1.1.12
fi

# A build, not `go mod tidy`: tidy would add the sums of everything that the tests of Kubernetes need.
rm -f go.sum
CGO_ENABLED=0 go build -mod=mod -o /dev/null k8s.io/kubernetes/cmd/kubeadm
