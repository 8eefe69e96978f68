package spec

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"regexp"
	"strings"
)

// maxNodePrefix leaves room for two machines in a node network. A longer one that is meant is written as prefixLength.
const maxNodePrefix = 30

// Bits is the prefix length of the node network, 1 to 32, from netmask or prefixLength; ok is false where neither is
// given or the one given is not the mask of a node network.
func (n Network) Bits() (length int, ok bool) {
	if n.PrefixLength.Set {
		return n.PrefixLength.V, n.PrefixLength.V >= 1 && n.PrefixLength.V <= 32
	}
	mask, err := parseIPv4(n.Netmask.V)
	if err != nil {
		return 0, false
	}
	length, ok = maskBits(mask)
	return length, ok && length <= maxNodePrefix
}

// maskBits is the number of leading ones of a mask; ok is false where ones follow zeros, and for 0.0.0.0.
func maskBits(mask netip.Addr) (length int, ok bool) {
	four := mask.As4()
	word := binary.BigEndian.Uint32(four[:])
	length = bits.LeadingZeros32(^word)
	return length, word != 0 && bits.TrailingZeros32(word) == 32-length
}

// Static reports whether the block sets an address: it has a mask or a gateway. Without both, the interface asks DHCP
// and keeps what else the block sets.
func (n Network) Static() bool {
	return n.Netmask.Known() || n.PrefixLength.Known() || n.Gateway.Known()
}

// StaticAddress is the node's address with its network's prefix length; ok is false for DHCP, for a pool, and where the
// address or the mask is missing or wrong.
func (t Target) StaticAddress() (prefix netip.Prefix, ok bool) {
	if t.Node == nil {
		return netip.Prefix{}, false
	}
	address, err := parseIPv4(t.Node.Address.V)
	length, masked := t.Network.Bits()
	if err != nil || !masked {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(address, length), true
}

// parseIPv4 reads an IPv4 address. The error tells what is wrong with it, without the text itself.
func parseIPv4(text string) (netip.Addr, error) {
	address, err := netip.ParseAddr(text)
	switch {
	case err == nil && address.Is4():
		return address, nil
	case err == nil || severalColons(text):
		return netip.Addr{}, fmt.Errorf("IPv6 and dual-stack are not supported")
	case strings.Contains(text, "/"):
		return netip.Addr{}, fmt.Errorf("an address is meant here, without a prefix length")
	default:
		return netip.Addr{}, fmt.Errorf("%.40q is no IPv4 address", text)
	}
}

// severalColons tells IPv6 from an address with a port.
func severalColons(text string) bool { return strings.Count(text, ":") > 1 }

// parsePrefix4 reads an IPv4 address with its prefix length, 1 to 32.
func parsePrefix4(text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	switch {
	case err == nil && !prefix.Addr().Is4(), severalColons(text):
		return netip.Prefix{}, fmt.Errorf("IPv6 and dual-stack are not supported")
	case strings.Contains(text, ","):
		return netip.Prefix{}, fmt.Errorf("one network is meant here, not several")
	case err != nil && !strings.Contains(text, "/"):
		return netip.Prefix{}, fmt.Errorf("%.40q has no prefix length", text)
	case err != nil || prefix.Bits() == 0:
		return netip.Prefix{}, fmt.Errorf("%.40q is no IPv4 network", text)
	default:
		return prefix, nil
	}
}

// broadcast is the last address of a network.
func broadcast(network netip.Prefix) netip.Addr {
	four := network.Masked().Addr().As4()
	word := binary.BigEndian.Uint32(four[:]) | ^uint32(0)>>network.Bits()
	binary.BigEndian.PutUint32(four[:], word)
	return netip.AddrFrom4(four)
}

var ipv4Numbers = regexp.MustCompile(`^([0-9]+|0[xX][0-9a-fA-F]*)(\.([0-9]+|0[xX][0-9a-fA-F]*)){0,3}$`)

// ipv4Like reports whether a name is written as one to four numbers. inet_aton(3), and with it curl and most of what
// resolves names, takes it for an address and never looks it up: 0123 is 0.0.0.83 and 0x1f is 0.0.0.31.
func ipv4Like(name string) bool { return ipv4Numbers.MatchString(name) }
