package formation

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"

	"muster/internal/rendezvous"
)

// complete collects the promises of a majority, then writes the founding record. From that record on, decisions are
// made. The founder does it, or, if he is lost, any other who promised. He may be lost before anybody promised: then
// any member does it when every control plane answers, so that none is overlooked which is in the running cluster.
func (f *Formation) complete(ctx context.Context, s state) error {
	if record, err := f.Service.Formed(ctx); err == nil && record.UID == s.UID {
		return f.formed(ctx, s)
	}
	answers := f.ask(ctx)
	if err := f.orphaned(ctx, s, answers); err != nil {
		return err
	}
	if err := f.rebuild(ctx, answers); err != nil {
		return err
	}
	planes := f.known()
	// Here a revoked one counts as well: it may be the only one in the running cluster.
	if !s.Founder && !s.Confirmed && len(planes.missing(answers)) > 0 {
		return nil
	}
	// Before anybody can write the founding record: whoever revokes this control plane from then on has to find its
	// member.
	if err := f.Service.NoteMember(ctx, f.Self, f.Address); err != nil {
		return err
	}
	promised := 1
	for name, a := range answers {
		if a.Holds && a.UID == s.UID && !f.revoked(name) && (a.Confirmed || planes.confirm(ctx, name, s.UID)) {
			promised++
		}
	}
	if enough := planes.order.Enough(f.revoked); promised < enough {
		f.say("the store of the control planes is founded and waits for more of them to join: %d of %d", promised, enough)
		return nil
	}
	if err := f.Confirm(ctx, s.UID); err != nil {
		return err
	}
	if err := f.Service.Form(ctx, s.UID, f.Self); err != nil {
		return err
	}
	f.say("the store of the control planes is formed")
	return f.formed(ctx, s)
}

// rebuild writes into a store that is made again what the running cluster knows, or waits for a control plane that can.
// It comes before the first promise: whoever promised may write the founding record, and need not be in the cluster
// himself.
func (f *Formation) rebuild(ctx context.Context, answers map[string]rendezvous.Membership) error {
	commit, here := f.InCluster()
	order := f.known().order
	other := slices.IndexFunc(order, func(name string) bool { return answers[name].InCluster })
	if !here && other < 0 {
		return nil
	}
	_, err := f.Service.Committed(ctx)
	if err == nil || rendezvous.CodeOf(err) != rendezvous.CodeWaiting {
		return err // it was written, or the store does not answer
	}
	if !here {
		f.say("the store of the control planes is made again, and waits for what %s knows of the running cluster", order[other])
		return err
	}
	if err = f.Service.Rebuild(ctx, commit); err != nil {
		f.say("the store of the control planes is made again from the running cluster, and waits for it: %v", err)
	}
	return err
}

func newUID() (string, error) {
	b := make([]byte, 16)
	if _, err := rand.Read(b); err != nil {
		return "", fmt.Errorf("no randomness for the store's uid: %w", err)
	}
	return hex.EncodeToString(b), nil
}
