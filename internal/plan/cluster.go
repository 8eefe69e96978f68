package plan

import "strings"

// ConfFile is the file on every machine that tells what differs between machines.
const ConfFile = etcFolder + "/node.conf"

// ClusterOf is the name of the cluster in the text of a ConfFile; empty where none stands. It is a DNS label, which
// needs no quotes.
func ClusterOf(conf string) string {
	for line := range strings.Lines(conf) {
		if name, found := strings.CutPrefix(strings.TrimSpace(line), "CLUSTER="); found {
			return name
		}
	}
	return ""
}
