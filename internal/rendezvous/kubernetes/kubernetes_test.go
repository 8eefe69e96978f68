package kubernetes_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"muster/internal/rendezvous"
	"muster/internal/rendezvous/clustertest"
	"muster/internal/rendezvous/kubernetes"
	"muster/internal/secrets/credential"
)

type scene struct {
	k       *clustertest.Kubernetes
	cluster *kubernetes.Cluster
	server  *httptest.Server
	joined  bool
	certs   *clustertest.Certificates
}

func open(t *testing.T) *scene { return openGateway(t, "") }

func openGateway(t *testing.T, gateway string) *scene {
	certs, err := clustertest.NewCertificates(net.IPv4(127, 0, 0, 1))
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{k: clustertest.New("k"), joined: true, certs: certs}
	s.k.Gateway = gateway
	s.k.Init("cp0", netip.MustParseAddr("192.0.2.1"))
	s.server = httptest.NewUnstartedServer(s.k.Handler(""))
	s.server.TLS = certs.TLS()
	s.server.StartTLS()
	t.Cleanup(s.server.Close)
	dir := t.TempDir()
	s.cluster = &kubernetes.Cluster{AdminConf: filepath.Join(dir, "admin.conf"), PKI: filepath.Join(dir, "pki"), Etcd: s.server.URL, Joined: func() bool { return s.joined }}
	if err := certs.WriteEtcd(s.cluster.PKI); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.cluster.AdminConf, certs.AdminConf(s.server.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTokens(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	token, err := rendezvous.NewToken(bytes.NewReader(bytes.Repeat([]byte("0a1b2c3d"), 9)))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cluster.CreateToken(ctx, token, 15*time.Minute, "w1"); err != nil {
		t.Fatal(err)
	}
	live := s.k.Tokens()[token.ID]
	if live.Secret != token.Secret() || live.Node != "w1" || live.TTL > 15*time.Minute || live.TTL < 14*time.Minute {
		t.Errorf("the token became %+v", live)
	}
	for range 2 { // gone is gone
		if err := s.cluster.DeleteToken(ctx, token.ID); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.k.Tokens()) != 0 {
		t.Error("the token lives on")
	}
}

func TestNodes(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	s.k.SetNode("w1", rendezvous.NodeObject{UID: "u1", BootID: "b1", Ready: true})
	if n, err := s.cluster.Node(ctx, "w1"); err != nil || n != (rendezvous.NodeObject{UID: "u1", BootID: "b1", Ready: true}) {
		t.Errorf("w1 is %+v, %v", n, err)
	}
	if n, err := s.cluster.Node(ctx, "nobody"); err != nil || n != (rendezvous.NodeObject{}) {
		t.Errorf("nobody is %+v, %v", n, err)
	}
	roles, err := s.cluster.Nodes(ctx)
	if err != nil || len(roles) != 2 || roles["cp0"] != credential.ControlPlane || roles["w1"] != credential.Worker {
		t.Errorf("the nodes are %v, %v", roles, err)
	}
	if err := s.cluster.DeleteNode(ctx, "w1", "another-uid"); err != nil || len(s.k.NodeNames()) != 2 {
		t.Errorf("a Node made anew was deleted: %v, %v", s.k.NodeNames(), err)
	}
	for range 2 {
		if err := s.cluster.DeleteNode(ctx, "w1", "u1"); err != nil || len(s.k.NodeNames()) != 1 {
			t.Errorf("after deletion: %v, %v", s.k.NodeNames(), err)
		}
	}
}

// TestEtcd: etcd 3.3 has its gateway under /v3beta alone.
func TestEtcd(t *testing.T) {
	for _, gateway := range []string{"/v3", "/v3beta"} {
		t.Run(gateway[1:], func(t *testing.T) { testEtcd(t, openGateway(t, gateway)) })
	}
}

func testEtcd(t *testing.T, s *scene) {
	ctx := t.Context()
	id, err := s.k.AddLearner("cp1", netip.MustParseAddr("2001:db8::2"))
	if err != nil {
		t.Fatal(err)
	}
	members, err := s.cluster.EtcdMembers(ctx)
	if err != nil || len(members) != 2 {
		t.Fatalf("the members are %+v, %v", members, err)
	}
	if m := members[0]; m.Name != "cp0" || m.Learner || m.PeerHosts[0] != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("the first member is %+v", m)
	}
	if m := members[1]; m.ID != id || m.Name != "" || !m.Learner || m.PeerHosts[0] != netip.MustParseAddr("2001:db8::2") {
		t.Errorf("the learner is %+v", m)
	}
	for range 2 { // gone is gone
		if err := s.cluster.RemoveEtcdMember(ctx, id); err != nil || len(s.k.Members()) != 1 {
			t.Errorf("after removal: %+v, %v", s.k.Members(), err)
		}
	}
}

// A member is not gone because etcd has no gateway where it is looked for.
func TestEtcdWithoutGateway(t *testing.T) {
	s := openGateway(t, "/v4")
	if members, err := s.cluster.EtcdMembers(t.Context()); err == nil {
		t.Errorf("the members are %+v", members)
	}
	if err := s.cluster.RemoveEtcdMember(t.Context(), s.k.Members()[0].ID); err == nil {
		t.Error("a member counts as gone in an etcd without a gateway")
	}
}

// The discovery file has the shape of a kubeconfig, with the token in it and no other credential.
func TestDiscovery(t *testing.T) {
	s := open(t)
	token, err := rendezvous.NewToken(bytes.NewReader(bytes.Repeat([]byte("0a1b2c3d"), 9)))
	if err != nil {
		t.Fatal(err)
	}
	data, err := s.cluster.Discovery(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		APIVersion, Kind string
		Clusters         []struct {
			Name    string
			Cluster map[string]string
		}
		Users []struct {
			Name string
			User map[string]string
		}
		Contexts       []struct{ Context map[string]string }
		CurrentContext string `json:"current-context"`
	}
	if err := json.Unmarshal(data, &config); err != nil {
		t.Fatal(err)
	}
	ca, err := base64.StdEncoding.DecodeString(config.Clusters[0].Cluster["certificate-authority-data"])
	if err != nil || !bytes.Equal(ca, s.certs.CA) || config.Clusters[0].Cluster["server"] != s.server.URL {
		t.Errorf("the cluster is %v, %v", config.Clusters, err)
	}
	if len(config.Users) != 1 || len(config.Users[0].User) != 1 || config.Users[0].User["token"] != token.Reveal() {
		t.Error("the user is not the token alone")
	}
	if config.Kind != "Config" || config.Contexts[0].Context["user"] != config.Users[0].Name || config.Contexts[0].Context["cluster"] != config.Clusters[0].Name || config.CurrentContext == "" {
		t.Errorf("the context leads nowhere: %+v", config)
	}
}

func TestCertificatesGoThroughWhole(t *testing.T) {
	s := open(t)
	if err := s.cluster.Certificates(t.Context(), &bytes.Buffer{}); err == nil {
		t.Error("certificates that are missing were sent")
	}
	for _, name := range kubernetes.Shared {
		path := filepath.Join(s.cluster.PKI, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("content of "+name+"\n\x00\xff"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var stream bytes.Buffer
	if err := s.cluster.Certificates(t.Context(), &stream); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	save := func(name string, data []byte) error { got[name] = string(data); return nil }
	if err := kubernetes.Unpack(bytes.NewReader(stream.Bytes()), save); err != nil {
		t.Fatal(err)
	}
	for _, name := range kubernetes.Shared {
		if got[name] != "content of "+name+"\n\x00\xff" {
			t.Errorf("%s came as %q", name, got[name])
		}
	}
	saved := 0
	count := func(string, []byte) error { saved++; return nil }
	for cut := range stream.Len() - 2 {
		if kubernetes.Unpack(bytes.NewReader(stream.Bytes()[:cut]), count) == nil || saved > 0 {
			t.Fatalf("a stream cut after %d bytes was taken, %d files", cut, saved)
		}
	}
	for what, text := range map[string]string{
		"one more":  strings.Replace(stream.String(), "{", `{"../../root/.ssh/authorized_keys":"eA==",`, 1),
		"one empty": strings.Replace(stream.String(), `"sa.pub":"`, `"sa.pub":"","x":"`, 1),
	} {
		if kubernetes.Unpack(strings.NewReader(text), count) == nil || saved > 0 {
			t.Errorf("%s was taken", what)
		}
	}
}

// A machine that is not in a cluster for good serves nothing, whatever a half-done kubeadm left on its disk.
func TestNoCluster(t *testing.T) {
	for what, spoil := range map[string]func(s *scene){
		"not joined":    func(s *scene) { s.joined = false },
		"no admin.conf": func(s *scene) { _ = os.Remove(s.cluster.AdminConf); _ = os.RemoveAll(s.cluster.PKI) },
	} {
		s := open(t)
		spoil(s)
		for call, err := range map[string]error{
			"token":    s.cluster.CreateToken(t.Context(), rendezvous.Token{}, time.Minute, "w"),
			"node":     second(s.cluster.Node(t.Context(), "w")),
			"etcd":     second(s.cluster.EtcdMembers(t.Context())),
			"delete":   s.cluster.DeleteToken(t.Context(), "abcdef"),
			"discover": second(s.cluster.Discovery(t.Context(), rendezvous.Token{})),
		} {
			if !errors.Is(err, rendezvous.ErrNoCluster) {
				t.Errorf("%s: %s: %v", what, call, err)
			}
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestAdminConfThatIsNotKubeadms(t *testing.T) {
	s := open(t)
	good := string(s.certs.AdminConf(s.server.URL))
	line := func(key string) string {
		at := strings.Index(good, key)
		return good[at : at+strings.Index(good[at:], "\n")]
	}
	for what, text := range map[string]string{
		"empty":       "",
		"two servers": good + "    server: https://evil:6443\n",
		"no server":   strings.Replace(good, line("server: "), "", 1),
		"block":       strings.Replace(good, line("server: "), "server: |", 1),
		"files":       strings.Replace(good, "client-key-data", "client-key", 1),
		"wrong key":   strings.Replace(good, line("client-key-data: "), "client-key-data: eA==", 1),
		"no base64":   strings.Replace(good, line("certificate-authority-data: "), "certificate-authority-data: ...", 1),
	} {
		if err := os.WriteFile(s.cluster.AdminConf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := s.cluster.Node(t.Context(), "cp0")
		if err == nil || strings.Contains(err.Error(), "eA==") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestApiThatIsGone(t *testing.T) {
	s := open(t)
	s.server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := s.cluster.Node(ctx, "cp0"); err == nil || errors.Is(err, rendezvous.ErrNoCluster) {
		t.Errorf("an API that does not answer: %v", err)
	}
}
