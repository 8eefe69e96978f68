package spec

import (
	"cmp"
	"fmt"
	"slices"
)

var rendezvousClusterRules = []func(*validator){rulePort, rulePortClash, ruleDelivery, ruleDeliveryURL, ruleDeliveryDigest, ruleDeliveryMedia, ruleDeliveryArchitectures}

// otherPort is the advice for a port that something else listens on.
var otherPort = fmt.Sprintf("write another port, usually %d or %d", DefaultRendezvousPort, DefaultRaftPort)

// Rule: the rendezvous's ports are ports that nothing of Kubernetes listens on.
func rulePort(v *validator) {
	for _, port := range []Value[int]{v.Spec.Rendezvous.Port, v.Spec.Rendezvous.RaftPort} {
		if what := portMistake(port.V); port.Set && what != "" {
			v.errorf(port.At, otherPort, "%s", what)
		}
	}
}

// Rule: the rendezvous's two ports differ from each other and from the API server's.
func rulePortClash(v *validator) {
	r, bind := v.Spec.Rendezvous, v.Spec.Kubernetes.APIServer.BindPort
	if r.Port.Set && r.RaftPort.Set && r.Port.V == r.RaftPort.V {
		at := r.RaftPort.At
		if !at.Known() {
			at = r.Port.At
		}
		v.errorf(at, fmt.Sprintf("write two different ports, usually %d and %d", DefaultRendezvousPort, DefaultRaftPort), "port and raftPort are both %d", r.Port.V)
	}
	for _, port := range []Value[int]{r.Port, r.RaftPort} {
		if port.Known() && !bind.Known() && port.V == bind.V {
			v.errorf(port.At, otherPort, "the API server listens on port %d", port.V)
		}
	}
}

// Rule: rendezvous.url and sha256 belong to delivery url, which needs the first.
func ruleDelivery(v *validator) {
	r := v.Spec.Rendezvous
	byURL := r.Delivery.V == "url"
	if byURL && !r.URL.Known() {
		founder, _ := v.founder()
		program := "rendezvous-" + cmp.Or(founder.Architecture.V, "amd64")
		v.errorf(below(r.At, "url"), fmt.Sprintf("write for example url: https://files.example.com/%s, where you serve rendezvous/%s of the output folder; or another delivery", program, program), "delivery url needs it")
	}
	for _, field := range []Value[string]{r.URL, r.SHA256} {
		if r.Delivery.Set && !byURL && field.Known() {
			v.errorf(field.At, "write delivery: url beside it, or leave it out", "with delivery %s nothing is fetched", r.Delivery.V)
		}
	}
}

// withoutMedium are platforms that give a machine user data and no medium of the user's.
var withoutMedium = []string{"ec2", "gce", "azure"}

// Rule: delivery media is for control planes that boot from a medium of muster's: with cloud-init, not over the
// network, and not on ec2, gce or azure.
func ruleDeliveryMedia(v *validator) {
	r := v.Spec.Rendezvous
	if r.Delivery.V != "media" || !r.Delivery.Known() {
		return
	}
	for _, t := range v.targets {
		profile, known := v.facts.Profiles[t.Profile.V]
		switch {
		case !t.IsControlPlane() || !known:
		case profile.Format != "cloud-init":
			v.errorf(r.Delivery.At, "write embed or url", "%s boots with %s and has no medium to take the program from", t.Name.V, profile.Format)
			return
		case slices.Contains(withoutMedium, t.Platform.V):
			v.errorf(r.Delivery.At, "write url", "%s runs on %s and has no medium to take the program from", t.Name.V, t.Platform.V)
			return
		case v.Spec.PXE.BaseURL.Set && t.Node != nil && t.Node.MAC.Set:
			v.errorf(r.Delivery.At, "write embed or url", "%s boots over the network and has no medium to take the program from", t.Name.V)
			return
		}
	}
}

// Rule: delivery url serves one program, so all control planes have one architecture.
func ruleDeliveryArchitectures(v *validator) {
	if v.Spec.Rendezvous.Delivery.V != "url" {
		return
	}
	first := ""
	for _, t := range v.targets {
		switch {
		case !t.IsControlPlane():
		case first == "":
			first = t.Architecture.V
		case t.Architecture.V != first:
			v.errorf(v.Spec.Rendezvous.URL.At, "write delivery: embed, which brings each its own program", "%s is %s and another control plane is %s, but rendezvous.url is one program", t.Name.V, t.Architecture.V, first)
			return
		}
	}
}

// Rule: rendezvous.url is an http or https URL.
func ruleDeliveryURL(v *validator) { v.checkURL(v.Spec.Rendezvous.URL) }

// Rule: rendezvous.sha256 is one.
func ruleDeliveryDigest(v *validator) { v.checkDigest(v.Spec.Rendezvous.SHA256) }
