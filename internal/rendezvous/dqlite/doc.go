// Package dqlite owns the replicated store of the control planes: one dqlite node of this machine, its mutually
// authenticated connections to the others, and rendezvous.Store on top. It is the only importer of go-dqlite, and must
// not know the protocol of the rendezvous or decide who may found or join (package formation does).
//
// It needs cgo and libdqlite, so everything but this comment is compiled with go-dqlite's own build tag libsqlite3
// only.
//
// go-dqlite's app package is not used: it keeps one voter among two members, so that losing that one's disk loses the
// store, and moves votes about when a member is only rebooting. Here every member votes, always.
package dqlite
