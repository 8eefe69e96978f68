package explain

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// The shapes of strings that a plan takes apart. A changed value keeps its shape, so that it goes the same way.
var (
	versionShape  = regexp.MustCompile(`^(v?\d+\.)(\d+)(?:\.(\d+))?$`)
	macShape      = regexp.MustCompile(`^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$`)
	hexShape      = regexp.MustCompile(`^[0-9A-Fa-f]{32,}$`)
	digitsShape   = regexp.MustCompile(`^[0-7]+$`)
	hostPortShape = regexp.MustCompile(`^([^/:]+):(\d+)$`)
)

// minorSteps are how far a version is moved: far enough to cross any release at which something changed.
var minorSteps = []int{1, -1, 4, -4, 8, -8, 16, -16, 20}

// others are values to put in the place of a string: of the same shape, and unlike any other value, since a value that
// occurs elsewhere as well would hide the change.
func (w *walker) others(text string) []string {
	if ip, err := netip.ParseAddr(text); err == nil {
		return []string{w.unused(func(i int) string { return otherAddress(ip, i) })}
	}
	if p, err := netip.ParsePrefix(text); err == nil {
		return []string{w.unused(func(i int) string {
			return netip.PrefixFrom(moved(p.Addr(), (p.Bits()-1)/8, i), p.Bits()).String()
		})}
	}
	if m := versionShape.FindStringSubmatch(text); m != nil {
		return w.otherVersions(m[1], m[2], m[3])
	}
	if d, err := time.ParseDuration(text); err == nil {
		return []string{w.unused(func(i int) string { return fmt.Sprintf("%ds", int(d.Seconds())+i) })}
	}
	if m := hostPortShape.FindStringSubmatch(text); m != nil {
		port, _ := strconv.Atoi(m[2]) // digits
		return []string{
			w.unused(func(i int) string { return m[1] + ":" + strconv.Itoa(port+i) }),
			w.unused(func(i int) string { return "x" + strconv.Itoa(i) + m[1] + ":" + m[2] }),
		}
	}
	return []string{w.unused(func(i int) string { return otherText(text, i) })}
}

// otherAddress is another address, or another mask in the place of one.
func otherAddress(ip netip.Addr, i int) string {
	if ip.Is4() && ip.As4()[0] == 255 {
		ones := uint32(0xffffffff) << ((i*7 + 1) % 24)
		return netip.AddrFrom4([4]byte{byte(ones >> 24), byte(ones >> 16), byte(ones >> 8), byte(ones)}).String()
	}
	return moved(ip, len(ip.AsSlice())-1, i).String()
}

// moved adds to one byte of an address; by more than half of what a byte holds, to the byte before: a large cluster has all
// addresses of a network.
func moved(ip netip.Addr, at, by int) netip.Addr {
	bytes := ip.AsSlice()
	if by > 127 && at > 0 {
		at, by = at-1, by-127
	}
	bytes[max(at, 0)] += byte(by)
	other, _ := netip.AddrFromSlice(bytes) // of the same length
	return other
}

func (w *walker) otherVersions(major, minor, patch string) []string {
	n, _ := strconv.Atoi(minor) // digits
	p, _ := strconv.Atoi(patch) // digits, or none
	suffix, out := "", []string{}
	if patch != "" {
		suffix = "." + patch
		out = append(out, w.unused(func(i int) string { return fmt.Sprintf("%s%d.%d", major, n, p+i) }))
	}
	for _, step := range minorSteps {
		if n+step >= 0 {
			out = append(out, fmt.Sprintf("%s%d%s", major, n+step, suffix))
		}
	}
	return out
}

// otherText changes the end of a text; of a number in as many digits, octal ones, since it may be a file's mode.
func otherText(text string, i int) string {
	last := len(text) - 1
	switch {
	case macShape.MatchString(text), hexShape.MatchString(text):
		return otherDigit(text, i)
	case digitsShape.MatchString(text) && i < 8:
		return text[:last] + strconv.Itoa((int(text[last]-'0')+i)%8)
	default:
		return strings.TrimSuffix(text, "\n") + "x" + strconv.Itoa(i) + strings.Repeat("\n", strings.Count(text, "\n"))
	}
}

// otherDigit changes one digit of a hexadecimal number: the last one as long as that gives another number, then those before.
func otherDigit(text string, i int) string {
	i = (i - 1) % (15 * len(strings.ReplaceAll(text, ":", "")))
	at := len(text) - 1
	for ; i >= 15; i -= 15 {
		if at--; text[at] == ':' {
			at--
		}
	}
	n, _ := strconv.ParseUint(text[at:at+1], 16, 8) // a digit
	return text[:at] + strconv.FormatUint((n+1+uint64(i))%16, 16) + text[at+1:]
}

// maxTries bounds the search for a value that occurs nowhere yet. A file that holds all of them gets one that it holds.
const maxTries = 250

func (w *walker) unused(candidate func(i int) string) string {
	for i := 1; i < maxTries; i++ {
		if c := candidate(i); !w.taken[c] && !strings.Contains(w.source, c) {
			w.taken[c] = true
			return c
		}
	}
	return candidate(1)
}
