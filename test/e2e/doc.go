// Package e2e boots whole machines from nothing but what gen wrote and waits until they are a cluster: the claim of the README as a test. It owns the
// container host that the machines run on (their disks, their network, their control groups) and the cases; mk/e2e.mk builds what they run.
//
// It may read a machine's files. It must never write one, run a command in a machine, or otherwise help it: what a case teaches is mended in the
// documents. The cases run only with the build tag e2e and as root, by `make e2e` and `make e2e-all`.
package e2e
