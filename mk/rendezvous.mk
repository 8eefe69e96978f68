# The control planes' binary: cgo and static, for linux/amd64 and linux/arm64, linked with Debian 13's libdqlite whatever this machine runs. The libraries
# come from this machine's own Debian mirror, into a sysroot per architecture under build/rendezvous. Go's build cache decides what has to be built again.
#
# Needs the targets of mk/go.mk. What `go build` of cmd/gen embeds is a compressed copy in internal/rendezvous/binaries/builds, so that gen itself stays pure Go.

RENDEZVOUS_SUITE := trixie
RENDEZVOUS_ARCHITECTURES := amd64 arm64
RENDEZVOUS_DIR := build/rendezvous
RENDEZVOUS_EMBEDDED := internal/rendezvous/binaries/builds
# Both compilers by Debian's names; the one for this machine's own architecture comes with the package gcc.
RENDEZVOUS_PACKAGES := gcc binutils gzip util-linux debian-archive-keyring \
	$(patsubst %,gcc-%-linux-gnu,$(filter-out $(subst _,-,$(shell uname -m)),x86-64 aarch64))

# The size limits of mk/rendezvous-check.sh are met by leaving out HTTP/2, which neither curl's requests nor the control planes' need, and inlining outside
# the runtime: together 1.2 MB of 12.2, and 0.6 of 5.3 compressed.
RENDEZVOUS_TAGS := libsqlite3,netgo,osusergo,nethttpomithttp2
RENDEZVOUS_GCFLAGS := -gcflags=all=-l -gcflags=runtime= -gcflags=internal/runtime/...=
RENDEZVOUS_LIBS := -ldqlite -lsqlite3 -luv -llz4 -lxxhash -lpthread -ldl -lrt -lm
# --no-warnings: the linker warns of dlopen, getaddrinfo and the like in static binaries. Nothing here calls them: addresses are IP addresses, users ids.
RENDEZVOUS_LDFLAGS := -s -w -linkmode external -extldflags "-static -Wl,--gc-sections -Wl,--no-warnings"

# What Go would otherwise take from the caller's environment is set, so that everybody's build has the same bytes.
rendezvous_env = PATH="$(CURDIR)/$(RENDEZVOUS_DIR)/$(1)/bin:$$PATH" CC=rendezvous-cc CGO_ENABLED=1 GOOS=linux GOARCH=$(1) GOAMD64=v1 GOARM64=v8.0 \
	GOFLAGS= GOWORK=off CGO_CPPFLAGS= CGO_CFLAGS="-O2 -g0 -DMUSTER_SYSROOT_$$(sha256sum <$(RENDEZVOUS_DIR)/$(1)/packages | cut -c1-16)" \
	CGO_LDFLAGS="$(RENDEZVOUS_LIBS)"

rendezvous_host := $(shell dpkg --print-architecture)

# bin/rendezvous.notices are the licences of the libraries inside, for whoever passes bin/gen or the binaries on.
.PHONY: rendezvous rendezvous-deps rendezvous-always test-rendezvous test-schedules bench-rendezvous
rendezvous: $(RENDEZVOUS_ARCHITECTURES:%=bin/rendezvous-%) ## build the control planes' static binary for amd64 and arm64, and the copies that gen embeds
	@ln -sf rendezvous-$(rendezvous_host) bin/rendezvous
	@cp $(RENDEZVOUS_DIR)/$(rendezvous_host)/notices bin/rendezvous.notices
	@$(foreach a,$(RENDEZVOUS_ARCHITECTURES),mk/rendezvous-check.sh bin/rendezvous-$(a) $(RENDEZVOUS_EMBEDDED)/rendezvous-$(a).gz $(a) &&) true

rendezvous-deps: ## install the compilers of the rendezvous, when missing
	@test/tools/install-missing.sh $(RENDEZVOUS_PACKAGES)

$(RENDEZVOUS_DIR)/deps.stamp: mk/rendezvous.mk
	@test/tools/install-missing.sh $(RENDEZVOUS_PACKAGES)
	@mkdir -p $(@D) && touch $@

$(RENDEZVOUS_DIR)/apt/apt.conf: test/tools/apt-suite.sh test/tools/debian-mirror.sh
	@echo "rendezvous: reading the package lists of Debian $(RENDEZVOUS_SUITE)"
	@ARCHITECTURES=amd64,arm64 test/tools/apt-suite.sh $(RENDEZVOUS_SUITE) $(@D)
	@touch $@

# A sysroot is kept until its script changes. `rm -r build/rendezvous` takes Debian's current point release.
$(RENDEZVOUS_DIR)/%/sysroot.stamp: mk/rendezvous-sysroot.sh $(RENDEZVOUS_DIR)/apt/apt.conf | $(RENDEZVOUS_DIR)/deps.stamp
	@mk/rendezvous-sysroot.sh $(RENDEZVOUS_DIR)/apt/apt.conf $* $(@D)
	@touch $@

# Linked as the product is, with libdqlite and static, and with the race detector. Each schedule is a cluster of real processes, so that more at once than
# there are cores only wait for each other.
SCHEDULES ?= 20
test-rendezvous: $(RENDEZVOUS_DIR)/$(rendezvous_host)/sysroot.stamp | go test-deps ## run the tests of the rendezvous that need libdqlite
	$(call rendezvous_env,$(rendezvous_host)) go test -race -tags $(RENDEZVOUS_TAGS) -ldflags '$(RENDEZVOUS_LDFLAGS)' ./internal/rendezvous/...
	$(call rendezvous_env,$(rendezvous_host)) go test -race -tags $(RENDEZVOUS_TAGS) -ldflags '$(RENDEZVOUS_LDFLAGS)' -timeout 12h -parallel 4 ./cmd/rendezvous \
		-args -schedules $(SCHEDULES)

# Many more schedules, without the race detector, which makes everything several times slower and has seen the first of them.
test-schedules: $(RENDEZVOUS_DIR)/$(rendezvous_host)/sysroot.stamp | go test-deps ## put clusters of the rendezvous through SCHEDULES random schedules
	$(call rendezvous_env,$(rendezvous_host)) go test -tags $(RENDEZVOUS_TAGS) -ldflags '$(RENDEZVOUS_LDFLAGS)' -timeout 12h -parallel 6 -v -run '^TestSchedules$$' \
		./cmd/rendezvous -args -schedules $(SCHEDULES)

# Without the race detector, too.
bench-rendezvous: $(RENDEZVOUS_DIR)/$(rendezvous_host)/sysroot.stamp | go test-deps ## figures of the rendezvous, each beside a limit
	$(call rendezvous_env,$(rendezvous_host)) go test -tags $(RENDEZVOUS_TAGS) -ldflags '$(RENDEZVOUS_LDFLAGS)' -timeout 1h -run '^$$' -bench . -benchtime 1x ./cmd/rendezvous

# Always handed to Go, which knows what changed; what lies in bin is replaced only by different bytes. Go does not look at the libraries when it decides
# whether to link again: a new sysroot replaces the whole folder, and the old result with it.
.PRECIOUS: $(RENDEZVOUS_DIR)/%/sysroot.stamp $(RENDEZVOUS_DIR)/%/rendezvous
$(RENDEZVOUS_DIR)/%/rendezvous: $(RENDEZVOUS_DIR)/%/sysroot.stamp rendezvous-always | go
	@echo "rendezvous: go build for $*, static, with Debian $(RENDEZVOUS_SUITE)'s libraries"
	@$(call rendezvous_env,$*) go build -trimpath -buildvcs=false $(RENDEZVOUS_GCFLAGS) -tags $(RENDEZVOUS_TAGS) \
		-ldflags '$(RENDEZVOUS_LDFLAGS)' -o $@ ./cmd/rendezvous

bin/rendezvous-%: $(RENDEZVOUS_DIR)/%/rendezvous
	@mkdir -p $(@D)
	@cmp --silent $< $@ || install -m 0755 $< $@
	@embedded=$(RENDEZVOUS_EMBEDDED)/rendezvous-$*.gz; gzip --test $$embedded 2>/dev/null && gzip --decompress --stdout $$embedded | cmp --silent - $< || \
		{ gzip --best --no-name --stdout $< >$$embedded.new && mv $$embedded.new $$embedded; }
