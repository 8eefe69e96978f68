# From blank machines to a Ready cluster, with nobody touching it: test/e2e boots machines under systemd-nspawn from nothing but what gen wrote.
#
# Needs the targets and functions of go.mk, test-deps.mk, tools.mk and rendezvous.mk. Everything that machines run is built here from pinned modules (go.mod
# and go.sum in test/e2e/<module>) or unpacked from Debian packages, into build/e2e; a stamp's name carries the digest of what its result is made from,
# so a second run builds nothing.

E2E := build/e2e
E2E_KUBERNETES := $(shell sed -n 's|^require k8s.io/kubernetes ||p' test/e2e/kubernetes/go.mod)
E2E_ROOT := $(if $(filter-out 0,$(shell id -u)),sudo)
E2E_STAMPS :=
# Which cases e2e-all runs: `make e2e-all CASES=TestC_` for one.
CASES ?= .

.PHONY: e2e e2e-vm e2e-all e2e-build
e2e: e2e-build ## boot the tutorial's cluster from blank machines, and wait until it is Ready
	cd test/e2e && $(E2E_ROOT) ../../$(E2E)/e2e.test -test.v -test.timeout 40m -test.run '^TestA_'

e2e-vm: e2e-build $(E2E)/.stamps/disk ## boot one whole machine under QEMU from its disk and seed.iso, in ipvs mode
	cd test/e2e && $(E2E_ROOT) ../../$(E2E)/e2e.test -test.v -test.timeout 4h -test.run '^TestK_'

e2e-all: e2e-build $(E2E)/.stamps/disk ## as e2e and e2e-vm, with late, killed, lost and reinstalled machines too (hours)
	cd test/e2e && $(E2E_ROOT) ../../$(E2E)/e2e.test -test.v -test.timeout 12h -test.run '$(CASES)'

e2e-build: rendezvous $(E2E)/.stamps/layer | go
	CGO_ENABLED=0 go build -buildvcs=false -o $(E2E)/gen ./cmd/gen
	CGO_ENABLED=0 go test -c -tags e2e -o $(E2E)/e2e.test ./test/e2e

# $(call e2e_result,NAME,RESULT,FILES,WORDS,COMMAND)
define e2e_result
E2E_STAMPS += $(E2E)/.stamps/$(1)@$(call digest,$(3),$(4))
$(E2E)/.stamps/$(1)@%: $(call rebuild_if_gone,$(2)) | test-deps go
	@mkdir -p $(E2E)/.stamps $(dir $(2)) && rm -f $(E2E)/.stamps/$(1)@*
	$(5)
	@touch $$@
endef

# $(call e2e_program,NAME,MODULE FOLDER,MAIN PACKAGE,LDFLAGS): a static program. The build flags are those of tools.mk, whose kubeadm is half of these.
e2e_program = $(call e2e_result,$(notdir $(1)),$(E2E)/bin/$(1),$(wildcard test/e2e/$(2)/go.mod test/e2e/$(2)/go.sum test/e2e/$(2)/*.go),$(3) $(4),\
	GOWORK=off GOFLAGS= CGO_ENABLED=0 go -C test/e2e/$(2) build -mod=readonly -buildvcs=false -ldflags '$(4)' -o '$(CURDIR)/$(E2E)/bin/$(1)' $(3))

$(foreach p,kubeadm kubelet kubectl kube-apiserver kube-controller-manager kube-scheduler kube-proxy,\
	$(eval $(call e2e_program,$(p),kubernetes,k8s.io/kubernetes/cmd/$(p),$(call kubeadm_ldflags,$(E2E_KUBERNETES)))))
$(eval $(call e2e_program,etcd,etcd,go.etcd.io/etcd/server/v3,-s -w))
$(eval $(call e2e_program,coredns,coredns,.,-s -w))
$(eval $(call e2e_program,flanneld,flannel,.,-s -w))
$(foreach p,main/bridge main/loopback ipam/host-local meta/portmap meta/flannel,\
	$(eval $(call e2e_program,cni/$(notdir $(p)),cniplugins,github.com/containernetworking/plugins/plugins/$(p),-s -w)))

$(eval $(call e2e_result,root,$(E2E)/root,test/e2e/root.sh $(shell find test/e2e/machine -type f),,$(E2E_ROOT) test/e2e/root.sh $(E2E)/root))
$(eval $(call e2e_result,base,$(E2E)/base,test/e2e/base.sh,,$(E2E_ROOT) test/e2e/base.sh $(E2E)/base))

# What the image of a machine holds over Debian: Kubernetes, the CNI plugins, and the archives of container images.
$(E2E)/.stamps/layer: $(E2E_STAMPS) $(shell find test/e2e/layer test/e2e/images test/e2e/pause test/e2e/web test/e2e/layer.sh -type f) $(call rebuild_if_gone,$(E2E)/layer)
	for program in pause web images; do CGO_ENABLED=0 go build -buildvcs=false -ldflags '-s -w' -o $(E2E)/bin/$$program ./test/e2e/$$program || exit; done
	$(E2E_ROOT) test/e2e/layer.sh $(E2E)/bin $(E2E)/base $(E2E)/layer
	@touch $@

# The disk of the machine under QEMU: root and layer, a kernel, and the images in containerd's store. The layer is newer than the root.
$(E2E)/.stamps/disk: $(E2E)/.stamps/layer test/e2e/disk.sh $(call rebuild_if_gone,$(E2E)/disk)
	$(E2E_ROOT) test/e2e/disk.sh $(E2E)/root $(E2E)/layer $(E2E)/disk
	@touch $@
