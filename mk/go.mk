# Go itself: the machine's, when it is new enough for go.mod or can fetch such a one by itself (1.21 and later do); else the release below, fetched as a
# module by Debian's older Go and checked against the digest in mk/go.sh.

GO_HOME := $(shell mk/go.sh --where)
export PATH := $(if $(GO_HOME),$(GO_HOME)/bin:)$(PATH)

.PHONY: go
go: ## make sure that there is a Go that builds this
	@mk/go.sh
