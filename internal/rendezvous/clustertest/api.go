package clustertest

import (
	"cmp"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"time"

	"muster/internal/rendezvous"
	"muster/internal/secrets/credential"
)

// Handler serves the cluster as the Kubernetes API and etcd's JSON gateway do, as far as the rendezvous calls them,
// below prefix. It answers with their statuses and shapes.
func (k *Kubernetes) Handler(prefix string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+prefix+"/api/v1/namespaces/kube-system/secrets", k.createSecret)
	mux.HandleFunc("DELETE "+prefix+"/api/v1/namespaces/kube-system/secrets/{name}", k.deleteSecret)
	mux.HandleFunc("GET "+prefix+"/api/v1/nodes", k.listNodes)
	mux.HandleFunc("GET "+prefix+"/api/v1/nodes/{name}", k.getNode)
	mux.HandleFunc("DELETE "+prefix+"/api/v1/nodes/{name}", k.deleteNode)
	gateway := cmp.Or(k.Gateway, "/v3")
	mux.HandleFunc("POST "+prefix+gateway+"/cluster/member/list", k.listMembers)
	mux.HandleFunc("POST "+prefix+gateway+"/cluster/member/remove", k.removeMember)
	return mux
}

type object = map[string]any

func answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // a client that went away is its own business
}

func (k *Kubernetes) createSecret(w http.ResponseWriter, r *http.Request) {
	var secret struct {
		Type       string                `json:"type"`
		Metadata   struct{ Name string } `json:"metadata"`
		StringData map[string]string     `json:"stringData"`
	}
	err := json.NewDecoder(r.Body).Decode(&secret)
	id, token := secret.StringData["token-id"], secret.StringData["token-secret"]
	expires, badTime := time.Parse(time.RFC3339, secret.StringData["expiration"])
	switch {
	case err != nil, badTime != nil, secret.Type != "bootstrap.kubernetes.io/token", secret.Metadata.Name != "bootstrap-token-"+id, len(id) != 6, len(token) != 16,
		secret.StringData["usage-bootstrap-authentication"] != "true", !strings.HasPrefix(secret.StringData["auth-extra-groups"], "system:bootstrappers:"):
		answer(w, http.StatusUnprocessableEntity, object{"kind": "Status", "status": "Failure"})
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, there := k.tokens[id]; there {
		answer(w, http.StatusConflict, object{"kind": "Status"})
		return
	}
	k.Minted++
	k.tokens[id] = Token{Secret: token, Node: strings.TrimPrefix(secret.StringData["description"], "muster, for "), TTL: time.Until(expires)}
	answer(w, http.StatusCreated, object{"kind": "Secret"})
}

func (k *Kubernetes) deleteSecret(w http.ResponseWriter, r *http.Request) {
	id, found := strings.CutPrefix(r.PathValue("name"), "bootstrap-token-")
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, there := k.tokens[id]; !found || !there {
		answer(w, http.StatusNotFound, object{"kind": "Status"})
		return
	}
	delete(k.tokens, id)
	answer(w, http.StatusOK, object{"kind": "Status", "status": "Success"})
}

func (k *Kubernetes) nodeJSON(name string) object {
	n := k.nodes[name]
	labels := object{}
	if k.roles[name] == credential.ControlPlane {
		labels["node-role.kubernetes.io/control-plane"] = ""
	}
	ready := "False"
	if n.Ready {
		ready = "True"
	}
	return object{"metadata": object{"name": name, "uid": n.UID, "labels": labels}, "status": object{
		"nodeInfo": object{"bootID": n.BootID}, "conditions": []object{{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": ready}},
	}}
}

func (k *Kubernetes) listNodes(w http.ResponseWriter, _ *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	items := []object{}
	for name := range k.nodes {
		items = append(items, k.nodeJSON(name))
	}
	answer(w, http.StatusOK, object{"kind": "PartialObjectMetadataList", "items": items})
}

func (k *Kubernetes) getNode(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, there := k.nodes[r.PathValue("name")]; !there {
		answer(w, http.StatusNotFound, object{"kind": "Status"})
		return
	}
	answer(w, http.StatusOK, k.nodeJSON(r.PathValue("name")))
}

func (k *Kubernetes) deleteNode(w http.ResponseWriter, r *http.Request) {
	var options struct {
		Preconditions struct{ UID string } `json:"preconditions"`
	}
	_ = json.NewDecoder(r.Body).Decode(&options) // none is no precondition
	name := r.PathValue("name")
	k.mu.Lock()
	defer k.mu.Unlock()
	n, there := k.nodes[name]
	switch {
	case !there:
		answer(w, http.StatusNotFound, object{"kind": "Status"})
	case options.Preconditions.UID != "" && options.Preconditions.UID != n.UID:
		answer(w, http.StatusConflict, object{"kind": "Status"})
	default:
		delete(k.nodes, name)
		delete(k.roles, name)
		answer(w, http.StatusOK, object{"kind": "Status"})
	}
}

func (k *Kubernetes) listMembers(w http.ResponseWriter, _ *http.Request) {
	members := []object{}
	for _, m := range k.Members() {
		var urls []string
		for _, h := range m.PeerHosts {
			urls = append(urls, "https://"+net.JoinHostPort(h.String(), "2380"))
		}
		o := object{"ID": m.ID, "peerURLs": urls}
		if m.Name != "" {
			o["name"] = m.Name
		}
		if m.Learner {
			o["isLearner"] = true
		}
		members = append(members, o)
	}
	answer(w, http.StatusOK, object{"header": object{}, "members": members})
}

func (k *Kubernetes) removeMember(w http.ResponseWriter, r *http.Request) {
	var body struct{ ID string }
	err := json.NewDecoder(r.Body).Decode(&body)
	k.mu.Lock()
	defer k.mu.Unlock()
	kept := []rendezvous.EtcdMember{}
	for _, m := range k.etcd {
		if m.ID != body.ID {
			kept = append(kept, m)
		}
	}
	if err != nil || len(kept) == len(k.etcd) {
		answer(w, http.StatusNotFound, object{"code": 5, "message": "etcdserver: member not found"})
		return
	}
	k.etcd = kept
	answer(w, http.StatusOK, object{"members": []object{}})
}
