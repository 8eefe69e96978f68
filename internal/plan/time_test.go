package plan

import (
	"strings"
	"testing"
)

// TestTimeServers: the servers are in the file of the service that the system has, and chrony starts with a clock that
// is hours off.
func TestTimeServers(t *testing.T) {
	for profile, c := range map[string]struct{ file, want string }{
		"debian12-containerd": {"/etc/systemd/timesyncd.conf.d/muster.conf", "[Time]\nNTP=ntp.example.com 10.0.0.123\n"},
		"centos7-docker":      {"/etc/chrony.conf", "server ntp.example.com iburst\nserver 10.0.0.123 iburst\ndriftfile /var/lib/chrony/drift\nmakestep 1.0 3\nrtcsync\n"},
	} {
		machines, problems := planned(t, strings.Replace(small, "debian12-containerd", profile, 1)+"  system: {ntp: {servers: [ntp.example.com, 10.0.0.123]}}\n")
		if len(problems) > 0 {
			t.Fatalf("%s: problems are %v", profile, problems)
		}
		if got := contentsOf(t, machines[0], c.file); got != c.want {
			t.Errorf("%s: %s is\n%s, want\n%s", profile, c.file, got, c.want)
		}
		if conf := contentsOf(t, machines[0], ConfFile); !strings.Contains(conf, "\nTIME_CONFIG="+c.file+"\n") {
			t.Errorf("%s: the script does not know %s:\n%s", profile, c.file, conf)
		}
	}
}
