//go:build !libsqlite3

package main

import (
	"errors"
	"log/slog"

	"muster/internal/rendezvous/config"
)

// A build without dqlite has all commands but serve.
func newEngine(config.Config, credentials, func(string) bool, *slog.Logger) (engine, error) {
	return nil, errors.New("this build has no store: build the binary with make rendezvous")
}
