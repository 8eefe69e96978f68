package rendezvous

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// WriteTable writes the report for people: one line a node, in the order of the report.
func (r StatusReport) WriteTable(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "cluster %s: %s\n", r.Cluster, r.summary())
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tROLE\tSTATE\tSTEP\tSINCE\tNOTE")
	for _, n := range r.Nodes {
		note := n.Error
		if note == "" {
			note = n.Refused
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", n.Name, n.Role, n.State(), n.Step, age(r.Now, n.Since), note)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r StatusReport) summary() string {
	switch {
	case r.Trouble != "":
		return r.Trouble
	case r.Store.UID == "":
		return "the control planes are still forming their store"
	case r.Init.Committed != nil && r.Join.Holder != "":
		return fmt.Sprintf("made by %s, %s is joining", r.Init.Committed.Node, r.Join.Holder)
	case r.Init.Committed != nil:
		return "made by " + r.Init.Committed.Node
	case r.Init.Holder != "":
		return fmt.Sprintf("kubeadm init is running on %s (epoch %d)", r.Init.Holder, r.Init.Epoch)
	}
	return "no control plane has begun kubeadm init yet"
}

// age is how long ago since was, coarse enough to read. Clocks differ between control planes: what is ahead is now.
func age(now, since time.Time) string {
	if since.IsZero() {
		return ""
	}
	d := max(0, now.Sub(since))
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(d.Hours())/24)
}
