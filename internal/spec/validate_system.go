package spec

import (
	_ "embed"
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"muster/internal/problem"
)

var (
	systemScopeRules  = []func(*validator, Scope){ruleSysctlKey, ruleSysctlValue, ruleSysctlOwned, ruleSysctlOfProxy, ruleSysctlOfKubelet, ruleModule, ruleModuleTwice, ruleTimezone, ruleNTPServer, ruleProxyURL, ruleNoProxy, ruleNoProxyPattern}
	systemTargetRules = []func(*validator, Target){ruleFirewallManager, ruleNoProxyNetwork}
)

// sysctlKey is a key as sysctl.d has it: dots between names, and slashes inside a name that holds dots.
var sysctlKey = regexp.MustCompile(`^[a-z][A-Za-z0-9_-]*(\.[A-Za-z0-9_/*-]+)+$`)

// vlanSysctl is a setting of an interface whose name has a dot and a VLAN's number behind it: with dots alone it would
// be another file, which nothing has.
var vlanSysctl = regexp.MustCompile(`^(net\.[a-z0-9]+\.(?:conf|neigh)\.[A-Za-z0-9_-]+)\.([1-9][0-9]{0,3})\.([a-z][a-z0-9_]*)$`)

// Rule: a key of sysctl is written with dots, as in vm.max_map_count, and a dot inside a name as a slash, as in
// net.ipv4.conf.bond0/100.rp_filter.
func ruleSysctlKey(v *validator, s Scope) {
	swap := strings.NewReplacer("/", ".", ".", "/")
	for _, setting := range s.System.Sysctl.Entries {
		vlan := vlanSysctl.FindStringSubmatch(setting.Key)
		switch dotted := swap.Replace(strings.TrimPrefix(setting.Key, "/proc/sys/")); {
		case strings.Contains(setting.Key, "*"):
			v.errorf(setting.At, "write each key", "a pattern is no key")
		case vlan != nil:
			v.errorf(setting.At, fmt.Sprintf("write %s/%s.%s", vlan[1], vlan[2], vlan[3]), "a dot inside an interface's name is written as a slash")
		case sysctlKey.MatchString(setting.Key):
		case sysctlKey.MatchString(dotted):
			v.errorf(setting.At, "write "+dotted, "a sysctl key is written with dots")
		default:
			v.errorf(setting.At, "write it like vm.max_map_count", "%.70q is no sysctl key", setting.Key)
		}
	}
}

// Rule: a value of sysctl holds no comment: sysctl.d has comments only on lines of their own.
func ruleSysctlValue(v *validator, s Scope) {
	for _, setting := range s.System.Sysctl.Entries {
		if strings.ContainsAny(setting.Value.V, "#;") {
			v.errorf(setting.Value.At, "write the value alone, such as \"262144\"", "the value of %s holds what looks like a comment, and would be given to the kernel", setting.Key)
		}
	}
}

// neededSysctl are settings without which Kubernetes' network does not work.
var neededSysctl = map[string]bool{"net.ipv4.ip_forward": true, "net.bridge.bridge-nf-call-iptables": true, "net.bridge.bridge-nf-call-ip6tables": true}

// Rule: sysctl leaves on what Kubernetes needs.
func ruleSysctlOwned(v *validator, s Scope) {
	for _, setting := range s.System.Sysctl.Entries {
		if neededSysctl[setting.Key] && setting.Value.Set && setting.Value.V != "1" {
			v.errorf(setting.Value.At, "leave it out", "Kubernetes needs %s = 1", setting.Key)
		}
	}
}

// proxySysctl are the settings that kube-proxy makes when it starts: the key of its configuration that says so, what makes it
// leave them alone, and what it sets where that is the same on all machines. Source: its setupConntrack, up to 1.34.
var proxySysctl = map[string]struct{ key, off, value string }{
	"net.nf_conntrack_max":                               {"maxPerCore", "0", ""},
	"net.netfilter.nf_conntrack_max":                     {"maxPerCore", "0", ""},
	"net.netfilter.nf_conntrack_tcp_timeout_established": {"tcpEstablishedTimeout", "0s", "86400"},
	"net.netfilter.nf_conntrack_tcp_timeout_close_wait":  {"tcpCloseWaitTimeout", "0s", "3600"},
}

// Rule: a setting of sysctl that kube-proxy makes when it starts goes with a patch of KubeProxyConfiguration for it (a warning).
func ruleSysctlOfProxy(v *validator, s Scope) {
	patch, _ := v.Spec.Kubernetes.Patches.Get("KubeProxyConfiguration")
	for _, setting := range s.System.Sysctl.Entries {
		own, known := proxySysctl[setting.Key]
		reached, patched := followPatch(patch.V, []string{"conntrack", own.key})
		if known && setting.Value.Set && setting.Value.V != own.value && (len(reached) < 2 || patched == nil) {
			v.warnf(setting.Value.At, fmt.Sprintf("write spec.kubernetes.patches: {KubeProxyConfiguration: {conntrack: {%s: %s}}} as well", own.key, own.off),
				"kube-proxy sets %s itself when it starts", setting.Key)
		}
	}
}

// kubeletSysctl are the settings that the kubelet makes when it starts; with protectKernelDefaults it does not start with other
// values. Source: its setupKernelTunables, up to 1.34.
var kubeletSysctl = map[string]string{
	"vm.overcommit_memory": "1", "vm.panic_on_oom": "0", "kernel.panic": "10", "kernel.panic_on_oops": "1",
	"kernel.keys.root_maxkeys": "1000000", "kernel.keys.root_maxbytes": "25000000",
}

// Rule: a setting of sysctl that the kubelet makes when it starts has the kubelet's value (a warning).
func ruleSysctlOfKubelet(v *validator, s Scope) {
	for _, setting := range s.System.Sysctl.Entries {
		if value, known := kubeletSysctl[setting.Key]; known && setting.Value.Set && setting.Value.V != value {
			v.warnf(setting.Value.At, "leave it out", "the kubelet sets %s to %s when it starts, and wants no other value", setting.Key, value)
		}
	}
}

var moduleName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*$`)

// Rule: a module is a kernel module's name, without path, suffix and parameters.
func ruleModule(v *validator, s Scope) {
	for _, module := range s.System.Modules.Items {
		if module.Set && !moduleName.MatchString(module.V) {
			v.errorf(module.At, "write the name that lsmod shows, such as nvme_tcp; parameters go into a file below /etc/modprobe.d", "%.70q is no module", module.V)
		}
	}
}

// Rule: a module stands once; the kernel takes dashes and underscores for the same.
func ruleModuleTwice(v *validator, s Scope) {
	seen := map[string]bool{}
	for _, module := range s.System.Modules.Items {
		name := strings.ReplaceAll(module.V, "-", "_")
		if module.Set && seen[name] {
			v.errorf(module.At, "keep one of the two", "the module %s stands before it", module.V)
		}
		seen[name] = true
	}
}

// timezoneName is what an editor can check: ruleTimezone knows the names themselves.
var timezoneName = regexp.MustCompile(`^[A-Z][A-Za-z0-9_+-]*(/[A-Z][A-Za-z0-9_+-]*){0,2}$`)

// timezones are the names of the tz database that Go brings. time.LoadLocation is not asked: it looks at the files of
// the machine that gen runs on first, so one spec would be right here and wrong there, and it cannot tell what was
// meant.
var timezones = strings.Fields(timezonesFile)

//go:embed timezones.txt
var timezonesFile string

// Rule: a timezone is a name of the tz database, such as Asia/Shanghai or UTC.
func ruleTimezone(v *validator, s Scope) {
	zone := s.System.Timezone
	if !zone.Set || slices.Contains(timezones, zone.V) {
		return
	}
	instead := "write Area/City, such as Asia/Shanghai, or UTC"
	if near := nearestTimezone(zone.V); near != "" {
		instead = "did you mean " + near + "?"
	}
	v.errorf(zone.At, instead, "%.70q is no name of the tz database", zone.V)
}

// shortestCity is how many letters a name has of which a city can be guessed: shorter ones are abbreviations (CEST, PST),
// and what is near to them is far away.
const shortestCity = 5

// nearestTimezone compares the cities alone: a common area would make every pair of short names near.
func nearestTimezone(name string) string {
	var cities []string
	for _, zone := range timezones {
		cities = append(cities, path.Base(zone))
		if strings.EqualFold(zone, name) {
			return zone
		}
	}
	if i := slices.IndexFunc(cities, func(city string) bool { return strings.EqualFold(city, name) }); i >= 0 {
		return timezones[i]
	}
	if len(name) < shortestCity {
		return ""
	}
	if city := problem.Nearest(path.Base(name), cities); city != "" {
		return timezones[slices.Index(cities, city)]
	}
	return ""
}

// Rule: firewall: ports needs a firewall that the profile knows how to open.
func ruleFirewallManager(v *validator, t Target) {
	profile, known := v.facts.Profiles[t.Profile.V]
	if known && t.System.Firewall.V == "ports" && profile.FirewallManager == "" {
		v.errorf(t.System.Firewall.At, "write disabled or keep", "the profile %s of %s has no firewall that muster opens ports in", t.Profile.V, t.Name.V)
	}
}

// validIP reports whether a text is an IP address without a zone.
func validIP(text string) bool {
	address, err := netip.ParseAddr(text)
	return err == nil && address.Zone() == ""
}

// Rule: an NTP server is a DNS name or an IP address.
func ruleNTPServer(v *validator, s Scope) {
	for _, server := range s.System.NTP.Servers.Items {
		if !server.Set || validIP(server.V) {
			continue
		}
		if what, instead := hostMistake(server.V); what != "" {
			v.errorf(server.At, instead+", without a port", "%s", what)
		}
	}
}

// urlMistake tells what keeps a text from being an http or https URL with a host that every program reads alike:
// nothing that shells, systemd or a package manager's files read as something else, and no password.
func urlMistake(text string) (what, instead string) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return "this is no http or https URL", "write it like https://mirror.example.com/path"
	case u.User != nil:
		return "a URL with a user or password would stand in files that everybody reads", withoutTheLogin
	case !plainURL.MatchString(text):
		return "the URL holds characters that a file or shell reads as something else", "percent-encode them"
	case u.Fragment != "":
		return "a fragment (#...) is never sent to a server", "write it without #..."
	}
	if what, instead := hostMistake(u.Hostname()); what != "" && !validIP(u.Hostname()) {
		return what, instead
	}
	if port := u.Port(); port != "" && !validPort(port) {
		return "the URL has no port from 1 to 65535", "write a port, or leave it out"
	}
	return "", ""
}

// plainURL are the characters of URLs but quotes, blanks, backslashes, and what shells and systemd expand.
var plainURL = regexp.MustCompile(`^[A-Za-z0-9:/?#\[\]@!&()*+,;=._~%-]+$`)

func validPort(text string) bool {
	port, err := strconv.Atoi(text)
	return err == nil && port >= 1 && port <= 65535 && strconv.Itoa(port) == text
}

func (v *validator) checkURL(address Value[string]) {
	if !address.Set {
		return
	}
	if what, instead := urlMistake(address.V); what != "" {
		v.errorf(address.At, instead, "%s", what)
	}
}

// Rule: a proxy is an http or https URL without a password, a path and a query.
func ruleProxyURL(v *validator, s Scope) {
	for _, address := range []Value[string]{s.System.Proxy.HTTP, s.System.Proxy.HTTPS} {
		if !address.Set {
			continue
		}
		if what, instead := proxyMistake(address.V); what != "" {
			v.errorf(address.At, instead, "%s", what)
		}
	}
}

// proxyMistake is urlMistake for the URL of a proxy. Of a whole URL a message repeats only what is no password.
func proxyMistake(text string) (what, instead string) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		instead = "write it like http://proxy.example.com:3128"
		if whole := "http://" + text; !strings.Contains(text, "://") {
			if what, _ := proxyMistake(whole); what == "" {
				instead = "write " + whole
			}
		}
		return "this is no http or https URL", instead
	}
	if what, instead = urlMistake(text); what == "" && (strings.Trim(u.Path, "/") != "" || u.RawQuery != "") {
		return "a proxy has no path and no query", "write " + u.Scheme + "://" + u.Host
	}
	return what, instead
}

var noProxyName = regexp.MustCompile(`^(\*|(\*?\.)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?)$`)

// Rule: an entry of proxy.no for all names of a domain starts with a dot: not all programs read *.example.com (a warning).
func ruleNoProxyPattern(v *validator, s Scope) {
	for _, entry := range s.System.Proxy.No.Items {
		if dotted, pattern := strings.CutPrefix(entry.V, "*"); pattern && dotted != "" && noProxyName.MatchString(entry.V) {
			v.warnf(entry.At, "write "+dotted, "curl and package managers take %s for a name, and would ask the proxy", entry.V)
		}
	}
}

// Rule: an entry of proxy.no is a name, which may start with a dot, an address or a network.
func ruleNoProxy(v *validator, s Scope) {
	for _, entry := range s.System.Proxy.No.Items {
		if !entry.Set || validIP(entry.V) || noProxyName.MatchString(entry.V) {
			continue
		}
		if _, err := netip.ParsePrefix(entry.V); err != nil {
			instead := "write one name, address or network an entry, such as .example.com"
			if strings.ContainsAny(entry.V, ", ") {
				instead = fmt.Sprintf("write %d entries", len(strings.FieldsFunc(entry.V, func(r rune) bool { return r == ',' || r == ' ' })))
			}
			what := fmt.Sprintf("%.70q is no name, address or network", entry.V)
			if strings.Contains(entry.V, "@") { // a password may be in front of it
				what = "this is no name, address or network"
			}
			v.errorf(entry.At, instead, "%s", what)
		}
	}
}

// Rule: with a proxy, control planes know the network of the machines whose addresses stand nowhere: pools, and nodes
// without an address (a warning).
func ruleNoProxyNetwork(v *validator, t Target) {
	p := t.System.Proxy
	if !t.IsControlPlane() || !p.HTTP.Set && !p.HTTPS.Set {
		return
	}
	network := func(entry Value[string]) bool { return entry.V == "*" || strings.Contains(entry.V, "/") }
	static := func(t Target) bool { _, ok := t.StaticAddress(); return ok }
	unknown := slices.IndexFunc(v.targets, func(t Target) bool { return t.Node == nil || !t.Node.Address.Known() })
	if unknown >= 0 && !slices.ContainsFunc(p.No.Items, network) && !slices.ContainsFunc(v.targets, static) {
		v.warnf(below(p.At, "no"), "write the network that it is from, such as no: [192.168.31.0/24]",
			"API servers would ask the proxy for the kubelet of %s, whose address stands nowhere", v.targets[unknown].Name.V)
	}
}
