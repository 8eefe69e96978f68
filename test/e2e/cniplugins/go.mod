// The last release of the CNI plugins that still holds flannel's: with it no other module is needed.
module muster/test/e2e/cniplugins

go 1.26

require github.com/containernetworking/plugins v0.9.1
