package formation

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"muster/internal/rendezvous/durable"
)

// readJSON reads a state file; a missing one leaves value as it is.
func readJSON(path string, value any) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the state of the store: %w", err)
	}
	if err := json.Unmarshal(data, value); err != nil {
		return fmt.Errorf("%s cannot be read: %w", path, err)
	}
	return nil
}

// writeJSON replaces a state file: after a power cut the old one is there or the new one.
func writeJSON(path string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("the state of the store: %w", err)
	}
	return durable.Replace(path, append(data, '\n'))
}
