package client

import (
	"context"
	"io"
	"net/http"

	"muster/internal/rendezvous"
)

// AcquireInit asks for the init lease.
func (c *Client) AcquireInit(ctx context.Context, ask rendezvous.Ask) (rendezvous.Lease, error) {
	return post[rendezvous.Lease](ctx, c, "/v1/leases/init/acquire", ask)
}

// RenewInit keeps the init lease.
func (c *Client) RenewInit(ctx context.Context, held rendezvous.Held) (rendezvous.Lease, error) {
	return post[rendezvous.Lease](ctx, c, "/v1/leases/init/renew", held)
}

// CommitInit makes this node's init the cluster's, for ever.
func (c *Client) CommitInit(ctx context.Context, held rendezvous.Held) (rendezvous.Lease, error) {
	return post[rendezvous.Lease](ctx, c, "/v1/leases/init/commit", held)
}

// ReleaseInit gives the init lease back.
func (c *Client) ReleaseInit(ctx context.Context, held rendezvous.Held) (rendezvous.Lease, error) {
	return post[rendezvous.Lease](ctx, c, "/v1/leases/init/release", held)
}

// AcquireJoin asks for the join lease.
func (c *Client) AcquireJoin(ctx context.Context, ask rendezvous.Ask) (rendezvous.Lease, error) {
	return post[rendezvous.Lease](ctx, c, "/v1/leases/join/acquire", ask)
}

// RenewJoin keeps the join lease.
func (c *Client) RenewJoin(ctx context.Context, held rendezvous.Held) (rendezvous.Lease, error) {
	return post[rendezvous.Lease](ctx, c, "/v1/leases/join/renew", held)
}

// ReleaseJoin gives the join lease back.
func (c *Client) ReleaseJoin(ctx context.Context, held rendezvous.Held) (rendezvous.Lease, error) {
	return post[rendezvous.Lease](ctx, c, "/v1/leases/join/release", held)
}

// Certificates writes the shared certificates as one stream; it writes nothing when the call fails.
func (c *Client) Certificates(ctx context.Context, held rendezvous.Held, w io.Writer) error {
	data, err := c.call(ctx, http.MethodPost, "/v1/certificates", held)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

// Enrol returns the kubeconfig that the node discovers the cluster with.
func (c *Client) Enrol(ctx context.Context, claim rendezvous.Claim, held *rendezvous.Held) ([]byte, error) {
	return c.call(ctx, http.MethodPost, "/v1/enrol", rendezvous.Enrolment{Claim: claim, Held: held})
}

// Done reports that the node joined.
func (c *Client) Done(ctx context.Context, claim rendezvous.Claim) error {
	_, err := c.call(ctx, http.MethodPost, "/v1/done", claim)
	return err
}

// Progress reports what the node does.
func (c *Client) Progress(ctx context.Context, report rendezvous.Report) error {
	_, err := c.call(ctx, http.MethodPost, "/v1/progress", report)
	return err
}

// Status is all that the rendezvous knows.
func (c *Client) Status(ctx context.Context) (rendezvous.StatusReport, error) {
	return get[rendezvous.StatusReport](ctx, c, "/v1/status")
}

// Reopen makes the credential of a node worth one more enrolment, and removes the node's old life from the cluster.
func (c *Client) Reopen(ctx context.Context, node string) error {
	_, err := c.call(ctx, http.MethodPost, "/v1/operator/reopen", rendezvous.OperatorRequest{Node: node})
	return err
}

// RevokeNode takes the credential of a node back.
func (c *Client) RevokeNode(ctx context.Context, node string) error {
	_, err := c.call(ctx, http.MethodPost, "/v1/operator/revoke", rendezvous.OperatorRequest{Node: node})
	return err
}

// RevokePool takes the credential of a pool back.
func (c *Client) RevokePool(ctx context.Context, pool string) error {
	_, err := c.call(ctx, http.MethodPost, "/v1/operator/revoke", rendezvous.OperatorRequest{Pool: pool})
	return err
}

// Membership asks a control plane what store it holds.
func (c *Client) Membership(ctx context.Context) (rendezvous.Membership, error) {
	return get[rendezvous.Membership](ctx, c, "/v1/membership")
}

// Admit asks to become a member of a control plane's store.
func (c *Client) Admit(ctx context.Context, a rendezvous.Admission) error {
	_, err := c.call(ctx, http.MethodPost, "/v1/membership/admit", a)
	return err
}

// Confirm asks a member to promise to keep its store.
func (c *Client) Confirm(ctx context.Context, uid string) error {
	_, err := c.call(ctx, http.MethodPost, "/v1/membership/confirm", rendezvous.Confirmation{UID: uid})
	return err
}
