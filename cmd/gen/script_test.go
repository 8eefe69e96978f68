package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// codeOf is the exit code in a command's error.
func codeOf(err error) string {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return fmt.Sprint(exit.ExitCode())
	}
	return err.Error()
}

func permissions(info os.FileInfo) string { return fmt.Sprintf("%04o", info.Mode().Perm()) }
