package plan

import (
	"muster/internal/decode"
	"muster/internal/node"
)

// addUsers plans who may log in; sudo rules are files of their own, so that both formats carry them alike.
func (m *machine) addUsers() {
	var homes []string
	for _, u := range m.Users.Items {
		m.config.Users = append(m.config.Users, node.User{
			Name: u.Name.V, PasswordHash: u.PasswordHash.V.Reveal(), SSHAuthorizedKeys: decode.Strings(u.SSHAuthorizedKeys),
			Groups: decode.Strings(u.Groups), Shell: "/bin/bash", At: u.At,
		})
		if u.Sudo.Set {
			m.addFile(node.File{Path: "/etc/sudoers.d/muster-" + u.Name.V, Mode: 0o440, Contents: []byte(u.Name.V + " " + u.Sudo.V + "\n"), At: u.Sudo.At})
		}
		if u.Kubeconfig.V && m.IsControlPlane() && u.Name.V != "root" {
			homes = append(homes, u.Name.V)
		}
	}
	m.conf.setList("KUBECONFIG_USERS", homes)
}
