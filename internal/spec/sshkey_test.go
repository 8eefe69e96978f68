package spec

import (
	"slices"
	"strings"
	"testing"
)

// publicKeys are one of each kind, as ssh-keygen writes them.
var publicKeys = []string{
	"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC63/mudltOEBK6hNE+ZTTnDquRBngNVCdqq8tACK/TcsJ9yVE17SIYSqPTbWuh9MnF3k//h431vkx9MFNSUHtfZZiHsI8h4oddsiKIhKG2Zt4LVPHqRkqFX22W8s7yUzZY+3w4I1iWiEVHDrRujiqGW1/bDdJD5kZacjRl+RYAxNl2AHwJM2qM4jMCWYrd43mWaliI84n8wftafQwoBX5u0dJqGmdcSXSzcSKdyQRVt1jy2CMSeSeI3SXOMipB83o3B8QrF8hdkV2fQp5l64PneYcqngCijcX2ruds8PJV/xeDTdXcGO46NZ9VfeSXZF56igPUubvxsj/qD9+SVebX",
	"ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBFdMiaMPm96X08otNAQznlU6iwDU39EqoKppzzd/I7eM8BIM4Zk4YYooGXXgUp6PWOdCIqjYTnwuUcA28l+JQzQ=",
	"ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBLne75fhFTbg3nr7zcudKzCE8Z4ZMcs/6yT1L4jAFDI3sPZJIrM9yIEUc2f7OZEV93dCSCaE4RbLgiOrp7sqvZevYYyfIOngW2HQdpDbX4AFszDcdnvMFjU6sPyWVQSitQ==",
	"ecdsa-sha2-nistp521 AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBAAqT1zQ7nQTGAsXu35fsByHO2L+vsPjpxVe9GM8vpd86UxAL7ZVQ9fqE0lroYrnY6ae8BJnvTVqXntOOyfdF0C4OgHlZ3r0mJZRnC1v08QMvYclTGHwutz4YG+0XNgYc989xBfftmV8gLzJqN5233hYpR3OF8dCAl1mz5GwOazVijWmNQ==",
	"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICLTYLQy61aE3x1nnVprnWFmZ+Fr3/j5e05FCedPwp3U",
	"sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAICLTYLQy61aE3x1nnVprnWFmZ+Fr3/j5e05FCedPwp3UAAAABHNzaDo=",
	"sk-ecdsa-sha2-nistp256@openssh.com AAAAInNrLWVjZHNhLXNoYTItbmlzdHAyNTZAb3BlbnNzaC5jb20AAAAIbmlzdHAyNTYAAABBBFdMiaMPm96X08otNAQznlU6iwDU39EqoKppzzd/I7eM8BIM4Zk4YYooGXXgUp6PWOdCIqjYTnwuUcA28l+JQzQAAAAEc3NoOg==",
}

// TestSSHKeys takes a key of each kind, with options and a comment or without, and refuses it cut after any of its characters.
func TestSSHKeys(t *testing.T) {
	var kinds []string
	for _, key := range publicKeys {
		kind, encoded, _ := strings.Cut(key, " ")
		kinds = append(kinds, kind)
		for _, line := range []string{key, key + " a@b", `from="10.0.0.0/8",no-pty ` + key + " a b"} {
			if what, _ := sshKeyMistake(line); what != "" {
				t.Errorf("%.60q is refused: %s", line, what)
			}
		}
		for i := 1; i < len(encoded); i++ {
			cut := kind + " " + encoded[:i]
			if what, _ := sshKeyMistake(cut + " a@b"); what != "the key after "+kind+" is cut or changed" {
				t.Errorf("%q is taken, or refused for %q", cut, what)
			}
		}
		if what, _ := sshKeyMistake(key + "AAAA"); what == "" {
			t.Errorf("%s is taken with three bytes more", kind)
		}
	}
	slices.Sort(kinds)
	if known := slices.Sorted(slices.Values(sshKeyTypes)); !slices.Equal(kinds, known) {
		t.Errorf("the kinds are %q, tried are %q", known, kinds)
	}
}
