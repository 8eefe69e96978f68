// Package kubernetes owns what the rendezvous asks of the Kubernetes API and of etcd on a control plane, with the
// credentials that kubeadm left on that machine's disk. It speaks plain HTTPS and JSON: client-go and etcd's client
// would double the size of a binary that travels inside documents. It must not decide anything.
package kubernetes

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"muster/internal/rendezvous"
	"muster/internal/secrets/credential"
)

const (
	callTimeout = 15 * time.Second
	// dialTimeout is short: the API server and etcd are on this machine, or a load balancer is near.
	dialTimeout = 3 * time.Second
	// maxAnswer is in bytes: a list of some thousand Node objects, cut to their metadata.
	maxAnswer = 32 << 20
	// maxFile is the largest certificate or kubeconfig read, in bytes.
	maxFile = 1 << 20
)

// Cluster is the Kubernetes cluster, reached by the files on this machine. Files are read anew for every call: kubeadm
// renews them.
type Cluster struct {
	// AdminConf is kubeadm's admin.conf, PKI its folder of certificates.
	AdminConf, PKI string
	// Joined says whether this machine is in the cluster for good: kubeadm's files alone may be those of a half-done
	// init.
	Joined func() bool
	// Etcd is the client URL of this machine's etcd, https://127.0.0.1:2379 when empty.
	Etcd string
	// Now is the clock, time.Now when nil. It is for the expiry of tokens.
	Now func() time.Time
}

// kubeconfig holds the values of a kubeconfig that this package needs, by their keys.
type kubeconfig map[string]string

const (
	keyServer      = "server"
	keyCA          = "certificate-authority-data"
	keyCertificate = "client-certificate-data"
	keyKey         = "client-key-data"
)

// parseKubeconfig reads what kubeadm writes: one cluster and one user, each value a plain scalar on the line of its
// key. A whole YAML parser would be a thirtieth of the binary, which has to fit into documents; whatever looks
// different from kubeadm's file is refused.
func parseKubeconfig(data []byte) (kubeconfig, error) {
	config := kubeconfig{keyServer: "", keyCA: "", keyCertificate: "", keyKey: ""}
	for line := range strings.Lines(string(data)) {
		key, value, found := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "- "), ": ")
		have, wanted := config[key]
		if !found || !wanted {
			continue
		}
		if have != "" || value == "" || strings.ContainsAny(value, " \"'#&*!|>%@`{}[],") {
			return nil, fmt.Errorf("%s: it is there twice, or is no plain value", key)
		}
		config[key] = value
	}
	for key, value := range config {
		if value == "" {
			return nil, fmt.Errorf("%s is missing", key)
		}
	}
	return config, nil
}

// access is what admin.conf gives.
type access struct {
	server string
	ca     []byte
	http   *http.Client
}

// access reads kubeadm's admin.conf anew each time, since its certificate is renewed. Until this machine is in the cluster the error is ErrNoCluster.
func (c *Cluster) access() (access, error) {
	if !c.Joined() {
		return access{}, rendezvous.ErrNoCluster
	}
	data, err := readFile(c.AdminConf)
	if errors.Is(err, fs.ErrNotExist) {
		return access{}, rendezvous.ErrNoCluster
	}
	if err != nil {
		return access{}, err
	}
	config, err := parseKubeconfig(data)
	if err != nil {
		return access{}, fmt.Errorf("%s: a kubeconfig as kubeadm writes it is expected: %w", c.AdminConf, err)
	}
	decode := func(key string) []byte {
		data, _ := base64.StdEncoding.DecodeString(config[key]) // what is not base64 is refused as a certificate below
		return data
	}
	pair, err := tls.X509KeyPair(decode(keyCertificate), decode(keyKey))
	if err != nil {
		return access{}, fmt.Errorf("%s: the client certificate and key do not fit", c.AdminConf)
	}
	ca := decode(keyCA)
	client, err := httpClient(ca, pair)
	if err != nil {
		return access{}, fmt.Errorf("%s: %w", c.AdminConf, err)
	}
	return access{server: config[keyServer], ca: ca, http: client}, nil
}

func httpClient(ca []byte, pair tls.Certificate) (*http.Client, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, errors.New("no CA certificate in PEM")
	}
	return &http.Client{Timeout: callTimeout, Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool, Certificates: []tls.Certificate{pair}},
		DialContext:       (&net.Dialer{Timeout: dialTimeout}).DialContext,
		DisableKeepAlives: true, // calls are rare, and files may be renewed in between
	}}, nil
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	return data, nil
}

// status is an answer other than success.
type status struct {
	what string
	code int
}

func (s *status) Error() string {
	return fmt.Sprintf("%s: status %d %s", s.what, s.code, http.StatusText(s.code))
}

func isStatus(err error, code int) bool {
	var s *status
	return errors.As(err, &s) && s.code == code
}

// call makes one call and decodes its answer into out, if there is one wanted. The answer is not put into errors.
func call(ctx context.Context, c *http.Client, method, address, accept string, body, out any) error {
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	what := method + " " + u.Path
	var data []byte
	if body != nil {
		if data, err = json.Marshal(body); err != nil {
			return fmt.Errorf("%s: the body cannot be encoded: %w", what, err)
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(data))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", accept)
	response, err := c.Do(request)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if response.StatusCode/100 != 2 {
		return &status{what, response.StatusCode}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s: the answer cannot be read: %w", what, err)
	}
	return nil
}

const plainJSON = "application/json"

// api calls the Kubernetes API.
func (c *Cluster) api(ctx context.Context, method, path, accept string, body, out any) error {
	a, err := c.access()
	if err != nil {
		return err
	}
	return call(ctx, a.http, method, a.server+path, accept, body, out)
}

// Discovery is rendezvous.Cluster's. JSON is YAML, and kubeadm reads kubeconfigs as YAML.
func (c *Cluster) Discovery(_ context.Context, token rendezvous.Token) ([]byte, error) {
	a, err := c.access()
	if err != nil {
		return nil, err
	}
	type object = map[string]any
	return json.Marshal(object{
		"apiVersion": "v1", "kind": "Config", "current-context": "muster",
		"clusters": []object{{"name": "muster", "cluster": object{"server": a.server, "certificate-authority-data": a.ca}}},
		"users":    []object{{"name": "muster", "user": object{"token": token.Reveal()}}},
		"contexts": []object{{"name": "muster", "context": object{"cluster": "muster", "user": "muster"}}},
	})
}

const tokenNamespace = "/api/v1/namespaces/kube-system/secrets"

// CreateToken is rendezvous.Cluster's: a Secret as Kubernetes' bootstrap token authentication takes it.
func (c *Cluster) CreateToken(ctx context.Context, token rendezvous.Token, ttl time.Duration, node string) error {
	now := time.Now
	if c.Now != nil {
		now = c.Now
	}
	return c.api(ctx, http.MethodPost, tokenNamespace, plainJSON, map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": "bootstrap.kubernetes.io/token",
		"metadata": map[string]string{"name": "bootstrap-token-" + token.ID, "namespace": "kube-system"},
		"stringData": map[string]string{
			"token-id": token.ID, "token-secret": token.Secret(), "description": "muster, for " + node,
			"expiration":                     now().Add(ttl).UTC().Format(time.RFC3339),
			"usage-bootstrap-authentication": "true", "usage-bootstrap-signing": "true",
			"auth-extra-groups": "system:bootstrappers:kubeadm:default-node-token",
		},
	}, nil)
}

// DeleteToken is rendezvous.Cluster's.
func (c *Cluster) DeleteToken(ctx context.Context, id string) error {
	err := c.api(ctx, http.MethodDelete, tokenNamespace+"/bootstrap-token-"+url.PathEscape(id), plainJSON, nil, nil)
	if isStatus(err, http.StatusNotFound) {
		return nil
	}
	return err
}

// node is the part of a Node object that is looked at.
type node struct {
	Metadata struct {
		Name   string            `json:"name"`
		UID    string            `json:"uid"`
		Labels map[string]string `json:"labels"`
	} `json:"metadata"`
	Status struct {
		NodeInfo struct {
			BootID string `json:"bootID"`
		} `json:"nodeInfo"`
		Conditions []struct{ Type, Status string } `json:"conditions"`
	} `json:"status"`
}

// Node is rendezvous.Cluster's.
func (c *Cluster) Node(ctx context.Context, name string) (rendezvous.NodeObject, error) {
	var n node
	err := c.api(ctx, http.MethodGet, "/api/v1/nodes/"+url.PathEscape(name), plainJSON, nil, &n)
	if isStatus(err, http.StatusNotFound) {
		return rendezvous.NodeObject{}, nil
	}
	object := rendezvous.NodeObject{UID: n.Metadata.UID, BootID: n.Status.NodeInfo.BootID}
	for _, condition := range n.Status.Conditions {
		object.Ready = object.Ready || condition.Type == "Ready" && condition.Status == "True"
	}
	return object, err
}

// The labels by which kubeadm marks control planes: the second one until 1.23.
var controlPlaneLabels = []string{"node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"}

// Nodes is rendezvous.Cluster's. Only metadata is asked for: the full objects list every image of every node.
func (c *Cluster) Nodes(ctx context.Context) (map[string]rendezvous.Role, error) {
	var list struct {
		Items []node `json:"items"`
	}
	if err := c.api(ctx, http.MethodGet, "/api/v1/nodes", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", nil, &list); err != nil {
		return nil, err
	}
	roles := map[string]rendezvous.Role{}
	for _, n := range list.Items {
		roles[n.Metadata.Name] = credential.Worker
		for _, label := range controlPlaneLabels {
			if _, ok := n.Metadata.Labels[label]; ok {
				roles[n.Metadata.Name] = credential.ControlPlane
			}
		}
	}
	return roles, nil
}

// DeleteNode is rendezvous.Cluster's. The precondition keeps a Node that was made anew meanwhile.
func (c *Cluster) DeleteNode(ctx context.Context, name, uid string) error {
	err := c.api(ctx, http.MethodDelete, "/api/v1/nodes/"+url.PathEscape(name), plainJSON, map[string]any{
		"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": map[string]string{"uid": uid},
	}, nil)
	if isStatus(err, http.StatusNotFound) || isStatus(err, http.StatusConflict) {
		return nil
	}
	return err
}

// gateways are the prefixes of etcd's JSON gateway: the first from etcd 3.4 on; 3.3, which kubeadm runs until Kubernetes
// 1.16, has only the second.
var gateways = []string{"/v3", "/v3beta"}

// etcd calls etcd's JSON gateway, which it serves beside gRPC, with kubeadm's certificate for health checks.
func (c *Cluster) etcd(ctx context.Context, path string, body, out any) error {
	if !c.Joined() {
		return rendezvous.ErrNoCluster
	}
	folder := filepath.Join(c.PKI, "etcd")
	ca, err := readFile(filepath.Join(folder, "ca.crt"))
	if errors.Is(err, fs.ErrNotExist) {
		return rendezvous.ErrNoCluster
	}
	if err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(folder, "healthcheck-client.crt"), filepath.Join(folder, "healthcheck-client.key"))
	if err != nil {
		return fmt.Errorf("etcd's client certificate: %w", err)
	}
	client, err := httpClient(ca, pair)
	if err != nil {
		return err
	}
	return call(ctx, client, http.MethodPost, cmp.Or(c.Etcd, "https://127.0.0.1:2379")+path, plainJSON, body, out)
}

type etcdMember struct {
	ID        string   `json:"ID"` // a 64-bit number, which the gateway writes as text
	Name      string   `json:"name"`
	PeerURLs  []string `json:"peerURLs"`
	IsLearner bool     `json:"isLearner"`
}

// etcdList lists the members, and says under which prefix etcd serves its gateway. That is not kept: etcd may be
// upgraded.
func (c *Cluster) etcdList(ctx context.Context) (members []etcdMember, gateway string, err error) {
	var list struct {
		Members []etcdMember `json:"members"`
	}
	for _, gateway = range gateways {
		err = c.etcd(ctx, gateway+"/cluster/member/list", map[string]any{}, &list)
		if !isStatus(err, http.StatusNotFound) {
			break
		}
	}
	return list.Members, gateway, err
}

// EtcdMembers is rendezvous.Cluster's.
func (c *Cluster) EtcdMembers(ctx context.Context) ([]rendezvous.EtcdMember, error) {
	list, _, err := c.etcdList(ctx)
	if err != nil {
		return nil, err
	}
	var members []rendezvous.EtcdMember
	for _, e := range list {
		member := rendezvous.EtcdMember{ID: e.ID, Name: e.Name, Learner: e.IsLearner}
		for _, text := range e.PeerURLs {
			if u, err := url.Parse(text); err == nil {
				if address, err := netip.ParseAddr(u.Hostname()); err == nil {
					member.PeerHosts = append(member.PeerHosts, address.Unmap())
				}
			}
		}
		members = append(members, member)
	}
	return members, nil
}

// RemoveEtcdMember is rendezvous.Cluster's. etcd answers 404 for a member that is gone, and for a gateway that it does
// not have: so that one is asked which has just answered.
func (c *Cluster) RemoveEtcdMember(ctx context.Context, id string) error {
	_, gateway, err := c.etcdList(ctx)
	if err != nil {
		return err
	}
	err = c.etcd(ctx, gateway+"/cluster/member/remove", map[string]string{"ID": id}, nil)
	if isStatus(err, http.StatusNotFound) {
		return nil
	}
	return err
}

// Shared are the files of the PKI folder that all control planes of a cluster have alike.
var Shared = []string{
	"ca.crt", "ca.key", "sa.key", "sa.pub", "front-proxy-ca.crt", "front-proxy-ca.key", "etcd/ca.crt", "etcd/ca.key",
}

// Certificates is rendezvous.Cluster's: one JSON object of names and contents.
func (c *Cluster) Certificates(_ context.Context, w io.Writer) error {
	if !c.Joined() {
		return rendezvous.ErrNoCluster
	}
	files := map[string][]byte{}
	for _, name := range Shared {
		data, err := readFile(filepath.Join(c.PKI, filepath.FromSlash(name)))
		if err != nil {
			return fmt.Errorf("the shared certificates: %w", err)
		}
		files[name] = data
	}
	return json.NewEncoder(w).Encode(files)
}

// Unpack reads what Certificates wrote: exactly the shared files, nothing else. save is called when all of it was read,
// so that a stream that was cut leaves nothing behind.
func Unpack(r io.Reader, save func(name string, data []byte) error) error {
	var files map[string][]byte
	if err := json.NewDecoder(io.LimitReader(r, maxAnswer)).Decode(&files); err != nil {
		return errors.New("the shared certificates: the stream is not whole") // the decoder's own words quote keys
	}
	for _, name := range Shared {
		if len(files[name]) == 0 {
			return fmt.Errorf("the shared certificates: %s is missing", name)
		}
	}
	if len(files) != len(Shared) {
		return errors.New("the shared certificates: there are files that are none of them")
	}
	for _, name := range Shared {
		if err := save(name, files[name]); err != nil {
			return err
		}
	}
	return nil
}
