package main

import (
	"fmt"
	"slices"
)

// constraint is what a field's value has to be beyond its type, as far as a JSON Schema can express it.
type constraint struct {
	// pattern is the name of a regular expression of the spec's rules, or such an expression itself; for a list and a
	// map it holds for each item and value.
	pattern string
	// keys is the same for the keys of a map.
	keys string
	// min and max bound a number, both included.
	min, max int
}

// Expressions for what the rules find out with code, written so that they never refuse what the rules take.
const (
	httpURL       = `^[hH][tT][tT][pP][sS]?://[^\s@#]+$`
	ipv4          = `^([0-9]{1,3}\.){3}[0-9]{1,3}$`
	ipv4Prefix    = `^([0-9]{1,3}\.){3}[0-9]{1,3}/[0-9]{1,2}$`
	macAddress    = `^([0-9a-f]{2}:){5}[0-9a-f]{2}$`
	dnsName       = `^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`
	absolutePath  = `^/[^\s]+$`
	fourOctal     = `^[0-7]{4}$`
	goDuration    = `^([0-9]+(\.[0-9]*)?(ms|us|ns|h|m|s))+$`
	internetTime  = `^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}`
	defaultOrCIDR = `^(default|([0-9]{1,3}\.){3}[0-9]{1,3}/[0-9]{1,2})$`
	// trimmed is one line of text without blanks around it.
	trimmed        = `^\S(.*\S)?$`
	trimmedOrEmpty = `^(\S(.*\S)?)?$`
	// profileOrPath is a name, or a path that says by its start and end that it is one.
	profileOrPath = `^([A-Za-z0-9][A-Za-z0-9._-]*|\.{0,2}/.*\.yaml)$`
)

// constraints are what an editor may complain about while a spec is being written. What is missing here is found by gen
// check; what is written here is held against gen's own rules by a test.
var constraints = map[string]constraint{
	"Metadata.Name":   {pattern: "dnsLabel"},
	"Machine.Profile": {pattern: profileOrPath},

	"Node.Name":      {pattern: dnsName},
	"Node.Address":   {pattern: ipv4},
	"Node.Aliases":   {pattern: dnsName},
	"Node.MAC":       {pattern: macAddress},
	"Node.Disk":      {pattern: "devicePath"},
	"Pool.Name":      {pattern: "dnsLabel"},
	"Pool.MaxNodes":  {min: 1, max: 5000},
	"Pool.JoinUntil": {pattern: internetTime},

	"Kubernetes.Version":                {pattern: "versionPattern"},
	"Kubernetes.ClusterName":            {pattern: "contextName"},
	"Kubernetes.ImageRepository":        {pattern: "registryPath"},
	"Kubernetes.CertificatesDir":        {pattern: absolutePath},
	"Kubernetes.CRISocket":              {pattern: "socketPath"},
	"MachineKubernetes.CRISocket":       {pattern: "socketPath"},
	"Networking.PodSubnet":              {pattern: ipv4Prefix},
	"Networking.ServiceSubnet":          {pattern: ipv4Prefix},
	"Networking.DNSDomain":              {pattern: dnsName},
	"LocalAPIEndpoint.AdvertiseAddress": {pattern: ipv4},
	"LocalAPIEndpoint.BindPort":         {min: 1, max: 65535},
	"APIServer.ExtraArgs":               {keys: "flagName"},
	"Component.ExtraArgs":               {keys: "flagName"},
	"BootstrapToken.TTL":                {pattern: goDuration},

	"Rendezvous.URL":      {pattern: httpURL},
	"Rendezvous.SHA256":   {pattern: "sha256Hex"},
	"Rendezvous.Port":     {min: 1, max: 65535},
	"Rendezvous.RaftPort": {min: 1, max: 65535},
	"Flannel.Version":     {pattern: "flannelVersion"},
	"PXE.BaseURL":         {pattern: httpURL},

	"Registries.RegistryMirrors": {pattern: httpURL},
	"HTTPProxy.HTTP":             {pattern: httpURL},
	"HTTPProxy.HTTPS":            {pattern: httpURL},

	"Network.Interface":    {pattern: "interfaceName"},
	"Network.Netmask":      {pattern: ipv4},
	"Network.PrefixLength": {min: 1, max: 32},
	"Network.Gateway":      {pattern: ipv4},
	"Network.Nameservers":  {pattern: ipv4},
	"Network.Search":       {pattern: dnsName},
	"Network.MTU":          {min: 576, max: 9216},
	"Network.Addresses":    {pattern: ipv4Prefix},
	"Network.Ethernets":    {keys: "interfaceName"},
	"Network.VLANs":        {keys: "interfaceName"},
	"Network.Bonds":        {keys: "interfaceName"},
	"Route.To":             {pattern: defaultOrCIDR},
	"Route.Via":            {pattern: ipv4},
	"Ethernet.Addresses":   {pattern: ipv4Prefix},
	"Ethernet.MTU":         {min: 576, max: 9216},
	"Match.MACAddress":     {pattern: macAddress},
	"VLAN.ID":              {min: 1, max: 4094},
	"VLAN.Link":            {pattern: "interfaceName"},
	"VLAN.Addresses":       {pattern: ipv4Prefix},
	"VLAN.MTU":             {min: 576, max: 9216},
	"Bond.Interfaces":      {pattern: "interfaceName"},
	"Bond.Addresses":       {pattern: ipv4Prefix},
	"Bond.MTU":             {min: 576, max: 9216},

	"System.Sysctl":   {keys: "sysctlKey"},
	"System.Modules":  {pattern: "moduleName"},
	"System.Timezone": {pattern: "timezoneName"},

	"User.Name":         {pattern: "loginName"},
	"User.PasswordHash": {pattern: "cryptHash"},
	"User.Groups":       {pattern: "loginName"},
	"User.Sudo":         {pattern: "sudoRule"},

	"Packages.Extra":        {pattern: "packageName"},
	"Repository.Name":       {pattern: "sourceName"},
	"Repository.BaseURL":    {pattern: httpURL},
	"Repository.Suite":      {pattern: "suiteName"},
	"Repository.Components": {pattern: "componentName"},
	"GPGKey.URL":            {pattern: httpURL},
	"GPGKey.Fingerprint":    {pattern: "fingerprint"},

	"File.Path":      {pattern: absolutePath},
	"File.Mode":      {pattern: fourOctal},
	"File.Owner":     {pattern: "fileOwner"},
	"File.SHA256":    {pattern: "sha256Hex"},
	"Unit.Name":      {pattern: "unitName"},
	"DropIn.Name":    {pattern: "dropInName"},
	"Archive.Path":   {pattern: absolutePath},
	"Archive.URL":    {pattern: httpURL},
	"Archive.SHA256": {pattern: "sha256Hex"},
}

// choice is what a block's keys have to be together.
type choice struct {
	// oneOf are keys of which exactly one is there; atMostOne, of which no two are.
	oneOf, atMostOne []string
}

var choices = map[string]choice{
	"CNI":     {atMostOne: []string{"flannel", "manifests", "none"}},
	"Network": {atMostOne: []string{"netmask", "prefixLength"}},
	"File":    {oneOf: []string{"contents", "source"}},
	"Archive": {oneOf: []string{"path", "url"}},
}

// expression is the text of a pattern of the constraints.
func (s *source) expression(pattern string) string {
	if text, named := s.patterns[pattern]; named {
		return text
	}
	return pattern
}

// checkConstraints reports entries whose field or expression no longer exists.
func (m *model) checkConstraints() error {
	owners := map[string]bool{}
	for _, b := range m.blocks {
		owners[b.structure.Name()] = true
		for _, f := range b.fields {
			owners[f.owner] = true
		}
	}
	for owner, c := range constraints {
		if !owners[owner] {
			return fmt.Errorf("constraints.go names %s, which is no field of the spec", owner)
		}
		for _, pattern := range []string{c.pattern, c.keys} {
			if pattern != "" && pattern[0] != '^' && m.patterns[pattern] == "" {
				return fmt.Errorf("constraints.go names the expression %s of %s, which the spec's rules do not have", pattern, owner)
			}
		}
	}
	for _, b := range m.blocks {
		c := choices[b.structure.Name()]
		for _, key := range append(slices.Clone(c.oneOf), c.atMostOne...) {
			if !slices.ContainsFunc(b.fields, func(f field) bool { return f.key == key }) {
				return fmt.Errorf("constraints.go names the key %s of %s, which it does not have", key, b.structure.Name())
			}
		}
		delete(owners, b.structure.Name())
	}
	for name := range choices {
		if m.blockNamed(name) == nil {
			return fmt.Errorf("constraints.go names %s, which is no block of the spec", name)
		}
	}
	return nil
}

func (m *model) blockNamed(name string) *block {
	for _, b := range m.blocks {
		if b.structure.Name() == name {
			return b
		}
	}
	return nil
}
