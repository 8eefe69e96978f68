package plan

import (
	"testing"

	"muster/internal/rendezvous/config"
	"muster/internal/spec"
)

// TestDefaultPorts: the spec and the program have the same ports where nothing is said of them.
func TestDefaultPorts(t *testing.T) {
	if spec.DefaultRendezvousPort != config.DefaultPort || spec.DefaultRaftPort != config.DefaultRaftPort {
		t.Errorf("the spec's ports are %d and %d, the program's %d and %d", spec.DefaultRendezvousPort, spec.DefaultRaftPort, config.DefaultPort, config.DefaultRaftPort)
	}
}
