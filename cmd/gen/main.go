// Command gen reads one cluster spec and writes, per role and per node, the document that each machine boots with.
package main

import (
	"context"
	"os"
)

func main() { os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) }
