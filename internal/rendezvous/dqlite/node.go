//go:build libsqlite3

package dqlite

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	dqlite "github.com/canonical/go-dqlite/v2"
	"github.com/canonical/go-dqlite/v2/client"
	"github.com/canonical/go-dqlite/v2/driver"
)

// FounderID is the id with which dqlite makes a new store on an empty disk. Any other id waits to be added.
const FounderID = dqlite.BootstrapID

const (
	// latency sets raft's timers: elections after about 0.3 s without a leader, which first-boot disks can keep.
	latency = 20 * time.Millisecond
	// snapshotEvery is in entries of the log: writes are rare and small, and so stays the memory.
	snapshotEvery = 128
	callTimeout   = 10 * time.Second
	// attemptTimeout bounds one try to reach one member, so that some can be tried within a call.
	attemptTimeout = 3 * time.Second
)

// Config is what a Node needs.
type Config struct {
	// Dir holds dqlite's files and nothing else.
	Dir string
	// UID is the store's. Members of another one are refused, whatever their addresses and ids.
	UID string
	// ID is this member's, never used by another member or by another disk of this one.
	ID uint64
	// Address is where the other members reach this one, and where it listens: IP:port.
	Address string
	// Peers are the addresses of the other control planes, to find the leader by.
	Peers []string
	// Cluster, Certificate and CA authenticate the connections among members.
	Cluster     string
	Certificate tls.Certificate
	CA          *x509.Certificate
	// Refuse says that the credential of a control plane was taken back.
	Refuse func(name string) bool
	Log    *slog.Logger
	// Now is the clock, time.Now when nil.
	Now func() time.Time
}

// Node is this machine's member of the store.
type Node struct {
	cfg   Config
	node  *dqlite.Node
	links *links
	nodes *client.InmemNodeStore
	db    *sql.DB
	local string
}

// NewID draws an id for a member that joins.
func NewID() (uint64, error) {
	for {
		var b [8]byte
		if _, err := rand.Read(b[:]); err != nil {
			return 0, fmt.Errorf("no randomness for a member's id: %w", err)
		}
		// Raft keeps the small ids and the founder's for founders.
		if id := binary.LittleEndian.Uint64(b[:]); id > 1<<32 && id != FounderID {
			return id, nil
		}
	}
}

// Exists says whether dir holds a store: without dqlite's own first file the rest is of no use.
func Exists(dir string) (bool, error) {
	for _, name := range []string{"metadata1", "metadata2"} {
		_, err := os.Stat(filepath.Join(dir, name))
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return false, fmt.Errorf("the store's folder: %w", err)
		}
	}
	return false, nil
}

// Start starts the member. One with FounderID and an empty folder makes a new store; one with another id serves nothing
// until a member adds it.
func Start(cfg Config) (*Node, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("the store's folder: %w", err)
	}
	name := make([]byte, 16)
	if _, err := rand.Read(name); err != nil {
		return nil, fmt.Errorf("no randomness for the store's local socket: %w", err)
	}
	n := &Node{cfg: cfg, local: "@muster-" + hex.EncodeToString(name)}
	n.links = newLinks(cfg, n.local)
	if err := n.start(); err != nil {
		return nil, err
	}
	return n, nil
}

// start listens, starts dqlite with its data, and opens the database by way of whoever leads. What was started is stopped when the rest fails.
func (n *Node) start() error {
	listener, err := listen(n.cfg.Address)
	if err != nil {
		return fmt.Errorf("the store's port: %w", err)
	}
	n.node, err = dqlite.New(n.cfg.ID, n.cfg.Address, n.cfg.Dir,
		dqlite.WithBindAddress(n.local), dqlite.WithDialFunc(n.links.dialRaft), dqlite.WithNetworkLatency(latency),
		dqlite.WithSnapshotParams(dqlite.SnapshotParams{Threshold: snapshotEvery, Trailing: snapshotEvery}))
	if err == nil {
		err = n.node.Start()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("start the store: %w", err), listener.Close())
	}
	n.nodes = client.NewInmemNodeStore()
	known := []client.NodeInfo{{Address: n.cfg.Address}}
	for _, peer := range n.cfg.Peers {
		known = append(known, client.NodeInfo{Address: peer})
	}
	if err := n.nodes.Set(context.Background(), known); err != nil {
		return errors.Join(err, n.node.Close(), listener.Close())
	}
	d, err := driver.New(n.nodes, driver.WithDialFunc(n.links.dial), driver.WithLogFunc(n.log), driver.WithConnectionTimeout(callTimeout), driver.WithAttemptTimeout(attemptTimeout))
	if err != nil {
		return errors.Join(fmt.Errorf("the store's driver: %w", err), n.node.Close(), listener.Close())
	}
	connector, err := d.OpenConnector("muster.db")
	if err != nil {
		return errors.Join(fmt.Errorf("the store's driver: %w", err), n.node.Close(), listener.Close())
	}
	n.db = sql.OpenDB(connector)
	n.db.SetMaxOpenConns(8)
	n.db.SetConnMaxIdleTime(time.Minute)
	n.links.serve(listener)
	return nil
}

func (n *Node) log(level client.LogLevel, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	switch level {
	case client.LogError:
		n.cfg.Log.Warn("dqlite: " + text) // the driver tries again
	default:
		n.cfg.Log.Debug("dqlite: " + text)
	}
}

// Member is a member of the store.
type Member struct {
	ID      uint64
	Address string
	Voter   bool
}

func (n *Node) leader(ctx context.Context) (*client.Client, error) {
	c, err := client.FindLeader(ctx, n.nodes, client.WithDialFunc(n.links.dial), client.WithLogFunc(n.log))
	if err != nil {
		return nil, fmt.Errorf("the store has no leader: %w", err)
	}
	return c, nil
}

// Members lists the members, as the leader knows them.
func (n *Node) Members(ctx context.Context) ([]Member, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	c, err := n.leader(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return n.members(ctx, c)
}

func (n *Node) members(ctx context.Context, c *client.Client) ([]Member, error) {
	nodes, err := c.Cluster(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the store's members: %w", err)
	}
	var list []Member
	for _, node := range nodes {
		list = append(list, Member{ID: node.ID, Address: node.Address, Voter: node.Role == client.Voter})
	}
	if len(nodes) > 0 {
		return list, n.nodes.Set(ctx, nodes)
	}
	return list, nil
}

// Add makes a running node a voting member. Members that had the same address go first: raft would refuse the address
// for ever. Asked again it succeeds again.
func (n *Node) Add(ctx context.Context, id uint64, address string) error {
	c, err := n.leader(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	members, err := n.members(ctx, c)
	if err != nil {
		return err
	}
	present := false
	for _, m := range members {
		switch {
		case m.ID == id && m.Address == address && m.Voter:
			return nil
		case m.ID == id && m.Address == address:
			present = true
		case m.Address == address || m.ID == id:
			if err := c.Remove(ctx, m.ID); err != nil {
				return fmt.Errorf("remove the member that had the address %s: %w", address, err)
			}
		}
	}
	if !present {
		if err := c.Add(ctx, client.NodeInfo{ID: id, Address: address, Role: client.Spare}); err != nil {
			return fmt.Errorf("add the member %s: %w", address, err)
		}
	}
	if err := c.Assign(ctx, id, client.Voter); err != nil {
		return fmt.Errorf("give the member %s its vote: %w", address, err)
	}
	return nil
}

// Remove takes the members with an address out; it is not an error when there are none.
func (n *Node) Remove(ctx context.Context, address string) error {
	c, err := n.leader(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	members, err := n.members(ctx, c)
	if err != nil {
		return err
	}
	for _, m := range members {
		if m.Address != address {
			continue
		}
		if err := c.Remove(ctx, m.ID); err != nil {
			return fmt.Errorf("remove the member %s: %w", address, err)
		}
	}
	return nil
}

// DropRefused cuts connections of members whose credential was taken back.
func (n *Node) DropRefused() { n.links.dropRefused() }

// Close hands the leadership on, if this member has it and another can take it before ctx ends, and stops.
func (n *Node) Close(ctx context.Context) error {
	if err := n.handOver(ctx); err != nil {
		n.cfg.Log.Info("the store's leadership was not handed on", "why", err)
	}
	err := n.db.Close()
	n.links.close()
	return errors.Join(err, n.node.Close())
}

func (n *Node) handOver(ctx context.Context) error {
	c, err := n.leader(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	leader, err := c.Leader(ctx)
	if err != nil || leader == nil || leader.Address != n.cfg.Address {
		return err
	}
	members, err := n.members(ctx, c)
	if err != nil {
		return err
	}
	err = errors.New("no other member")
	for _, m := range members {
		if m.Address == n.cfg.Address || !m.Voter {
			continue
		}
		if err = c.Transfer(ctx, m.ID); err == nil {
			return nil
		}
	}
	return err
}

// Recover makes the stopped member in dir the only one of its store. It is right only when every other voter is known
// to have lost its disk, and when this one has all that was acknowledged: with two voters both have.
func Recover(dir string, id uint64, address string) error {
	if err := dqlite.ReconfigureMembershipExt(dir, []dqlite.NodeInfo{{ID: id, Address: address, Role: client.Voter}}); err != nil {
		return fmt.Errorf("recover the store: %w", err)
	}
	return nil
}
