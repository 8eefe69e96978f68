# Debian packages that the tests need on the machine itself. None of them runs a service. cloud-init, containerd and netplan are not here: the
# tests use them in build/chroot-debian12 (see tools.mk), because installed they would take part in the machine's own next boot.

TEST_PACKAGES := \
	gcc libc6-dev libblkid-dev \
	mmdebstrap debian-archive-keyring \
	util-linux iproute2 systemd-container \
	xorriso genisoimage \
	shellcheck jq openssl gnupg curl python3 python3-yaml bash-completion \
	libcurl3-nss nss-plugin-pem \
	cloud-image-utils qemu-system-x86 qemu-utils ipxe-qemu binutils-x86-64-linux-gnu \
	e2fsprogs mount openssh-client

.PHONY: test-deps
test-deps: ## install the Debian packages that the tests need, when missing
	@test/tools/install-missing.sh $(TEST_PACKAGES)
