# The real consumers of our documents, which internal/consumer runs in tests: built from pinned Go modules (test/tools/<module>/go.mod and go.sum)
# or unpacked from Debian packages, into build/tools and build/chroot-debian12.
#
# What a tool is built from is hashed into the name of its stamp, so `make tools` does nothing when nothing changed, and a new release replaces the old
# binary.

TOOLS := build/tools
KUBEADM := $(notdir $(wildcard test/tools/kubeadm-v*))

# kubeadm prints, compares and defaults to the version that its linker was given.
kubeadm_minor = $(word 2,$(subst ., ,$(1)))
kubeadm_set = -X k8s.io/component-base/version.$(1)=$(2)
kubeadm_ldflags = -s -w $(call kubeadm_set,gitVersion,$(1)) $(call kubeadm_set,gitMajor,1) $(call kubeadm_set,gitMinor,$(call kubeadm_minor,$(1))) \
	$(call kubeadm_set,gitTreeState,clean)

# module_version: the version of module $(2) that the tool module $(1) pins.
module_version = $(shell sed -n 's|^.*$(2) \(v[^ ]*\).*|\1|p' test/tools/$(1)/go.mod)
comma := ,
# digest: of the files $(1) and the words $(2).
digest = $(shell { cat $(1); echo '$(2)'; } | sha256sum | cut -c1-16)
# A stamp whose tool was deleted does not count.
rebuild_if_gone = $(if $(wildcard $(1)),,rebuild)

.PHONY: tools rebuild
tools: ## build the real consumers that the tests call

# $(call go_tool,BINARY,MODULE FOLDER,MAIN PACKAGE,LDFLAGS,ENVIRONMENT,BUILD FLAGS)
define go_tool
tools: $(TOOLS)/.stamps/$(1)@$(call digest,test/tools/$(2)/go.mod test/tools/$(2)/go.sum,$(3) $(4) $(5) $(6))
$(TOOLS)/.stamps/$(1)@%: $(call rebuild_if_gone,$(TOOLS)/$(1)) | test-deps
	@mkdir -p $(TOOLS)/.stamps && rm -f $(TOOLS)/.stamps/$(1)@*
	GOWORK=off GOFLAGS= $(5) go -C test/tools/$(2) build -mod=readonly -buildvcs=false $(6) -ldflags '$(4)' -o '$(CURDIR)/$(TOOLS)/$(1)' $(3)
	@touch $$@
endef

# $(call script_tool,NAME,RESULT,SCRIPTS,COMMAND)
define script_tool
tools: $(TOOLS)/.stamps/$(1)@$(call digest,$(3))
$(TOOLS)/.stamps/$(1)@%: $(call rebuild_if_gone,$(2)) | test-deps
	@mkdir -p $(TOOLS)/.stamps && rm -f $(TOOLS)/.stamps/$(1)@*
	$(4)
	@touch $$@
endef

$(foreach k,$(KUBEADM),$(eval $(call go_tool,$(k),$(k),k8s.io/kubernetes/cmd/kubeadm,$(call kubeadm_ldflags,$(k:kubeadm-%=%)),CGO_ENABLED=0)))

# The engine needs cgo, for libblkid. Relabelling is off as in the builds of systems without an SELinux policy: the tests' root has none.
IGNITION_VERSION := $(call module_version,coreos,github.com/coreos/ignition/v2)
BUTANE_VERSION := $(call module_version,coreos,github.com/coreos/butane)
ignition_ldflags := -s -w -X github.com/coreos/ignition/v2/internal/version.Raw=$(IGNITION_VERSION) \
	-X github.com/coreos/ignition/v2/internal/distro.selinuxRelabel=false
butane_ldflags := -s -w -X github.com/coreos/butane/internal/version.Raw=$(BUTANE_VERSION)
$(eval $(call go_tool,ignition,coreos,github.com/coreos/ignition/v2/internal,$(ignition_ldflags),CGO_ENABLED=1))
$(eval $(call go_tool,ignition-validate,coreos,github.com/coreos/ignition/v2/validate,$(ignition_ldflags),CGO_ENABLED=0))
$(eval $(call go_tool,butane,coreos,github.com/coreos/butane/internal,$(butane_ldflags),CGO_ENABLED=0))

# containerd 2 reads config.toml's version 3; what is left out are snapshotters, which have no part in reading it.
$(eval $(call go_tool,containerd,containerd,github.com/containerd/containerd/v2/cmd/containerd,-s -w,CGO_ENABLED=0,-tags no_btrfs$(comma)no_devmapper$(comma)no_zfs))

$(eval $(call script_tool,dockerd,$(TOOLS)/dockerd,test/tools/dockerd.sh,\
	test/tools/dockerd.sh build/apt/trixie $(TOOLS)))
$(eval $(call script_tool,chroot-debian12,build/chroot-debian12,test/tools/chroot-debian12.sh,\
	$(if $(filter-out 0,$(shell id -u)),sudo) test/tools/chroot-debian12.sh build/chroot-debian12))
