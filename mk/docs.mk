# docs/spec.md and internal/spec/schema.json are made of the spec's own comments, tags, defaults and rules. A test fails when they are stale.

.PHONY: docs
docs: go ## rewrite docs/spec.md and the JSON Schema after a change of the spec
	go run ./internal/specdoc
