# Muster. `make` lists the targets. What a target needs of the machine it installs by package name.

include mk/go.mk mk/test-deps.mk mk/tools.mk mk/docs.mk mk/rendezvous.mk mk/e2e.mk

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z0-9-]*:.*## / { printf "%-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST) | sort

.PHONY: build
build: go rendezvous ## build bin/gen, which carries the control planes' program
	CGO_ENABLED=0 go build -trimpath -o bin/gen ./cmd/gen

.PHONY: example
example: build ## render the tutorial's cluster into out/
	bin/gen -spec examples/tutorial/cluster.yaml -out out/

.PHONY: test
test: test-deps go build tools vet ## install what the tests need and run them
	go test -timeout 60m ./...
	$(MAKE) --no-print-directory test-rendezvous

.PHONY: test-long
test-long: test-deps go build tools ## the rendezvous under 500 random schedules, and every end-to-end case (hours)
	$(MAKE) --no-print-directory test-rendezvous
	$(MAKE) --no-print-directory test-schedules SCHEDULES=500
	$(MAKE) --no-print-directory e2e-all

# Crash inputs land in the testdata of the target's package: commit them with the mend.
FUZZTIME ?= 30s
.PHONY: fuzz
fuzz: test-deps go ## let every fuzz target look for new inputs, for FUZZTIME each
	@git grep -o '^func Fuzz[A-Za-z]*' -- '*_test.go' | while IFS=: read -r file name; do \
		go test -run '^$$' -fuzz "^$${name#func }$$" -fuzztime $(FUZZTIME) "./$${file%/*}" || exit; done

.PHONY: bench
bench: test-deps build tools ## time and memory of gen beside cp -r and beside the tools that people use in its place
	go run ./test/bench -gen bin/gen -butane build/tools/butane
	$(MAKE) --no-print-directory bench-rendezvous

.PHONY: vet
vet: go ## check formatting and go.mod, and run go vet
	@unformatted=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go')); [ -z "$$unformatted" ] || { echo "not gofmt-ed: $$unformatted"; exit 1; }
	go mod tidy -diff
	go vet ./...
	go vet -tags e2e ./test/e2e

.PHONY: golden
golden: go ## rewrite test/golden after a change that is meant
	go test ./test/golden -update

.PHONY: clean
clean: ## remove what was built
	rm -rf bin build internal/rendezvous/binaries/builds/*.gz
