// Package render turns the neutral configuration of a machine into the documents that it boots from, and proves before
// returning them that they say what the configuration says. It owns what both formats share: which values a document can
// carry at all, and the comparison of what was written with what was meant. The formats themselves are its sub-packages,
// which know nothing of each other. It must never see a spec or a profile.
//
// A configuration either comes out exactly in whichever format is asked for, or is refused with the place in the spec:
// nothing is dropped, escaped away or replaced.
package render

import (
	"errors"
	"fmt"
	"strings"

	"muster/internal/node"
	"muster/internal/problem"
	"muster/internal/render/cloudinit"
	"muster/internal/render/ignition"
)

// The formats, by the names that profiles use.
const (
	CloudInit = "cloud-init"
	Ignition  = "ignition"
)

// The names of the files of a Document. The first three are those that cloud-init's NoCloud data source asks for.
const (
	UserData       = "user-data"
	MetaData       = "meta-data"
	NetworkConfig  = "network-config"
	IgnitionConfig = "config.ign"
)

// Document is what one machine, or each machine of one pool, boots from.
type Document struct {
	// Files are in the order in which they are read.
	Files []File
}

// File is one file of a Document.
type File struct {
	Name string
	Data []byte
}

// errEncoded is why a file is not marshalled.
var errEncoded = errors.New("a file of a document is written and not encoded: it holds secrets")

// Format names the file without its bytes under every verb: documents hold secrets.
func (f File) Format(s fmt.State, _ rune) {
	_, _ = fmt.Fprintf(s, "file %s, %d bytes", f.Name, len(f.Data))
}

// MarshalJSON fails.
func (File) MarshalJSON() ([]byte, error) { return nil, errEncoded }

// Butane is the variant and version of Butane's configuration that an Ignition document is translated from.
type Butane = ignition.Butane

// Refused is the error of a configuration that a document cannot carry as it is.
type Refused struct {
	// Problems are all that are wrong, sorted by place. Places are those of the configuration.
	Problems []problem.Problem
}

// Error implements error, one problem a line.
func (r *Refused) Error() string {
	var lines []string
	for _, p := range r.Problems {
		lines = append(lines, p.Text())
	}
	return strings.Join(lines, "\n")
}

// Encode writes cfg in a format; butane counts for Ignition only. It leaves cfg as it is, and equal arguments give equal
// bytes. The error is a *Refused where cfg cannot be carried; any other error is a fault of the encoder, such as a
// difference between cfg and the document when that was read back.
func Encode(format string, butane Butane, cfg node.Config) (Document, error) {
	refused := &problem.List{}
	check(cfg, refused)
	if refused.Failed() {
		return Document{}, refusal(cfg, refused)
	}
	doc, err := encode(format, butane, cfg, refused)
	if refused.Failed() {
		return Document{}, refusal(cfg, refused)
	}
	if err != nil {
		return Document{}, fmt.Errorf("%s: %w", cfg.Name, err)
	}
	read, err := ReadBack(format, doc)
	if err != nil {
		return Document{}, fmt.Errorf("%s: reading the document back: %w", cfg.Name, err)
	}
	if differing := differences(carried(format, cfg), carried(format, read)); len(differing) > 0 {
		return Document{}, fmt.Errorf("%s: the %s document does not say what was meant: %s", cfg.Name, format, strings.Join(differing, ", "))
	}
	return doc, nil
}

// refusal makes the error of what was refused. What no line of the spec caused by itself is reported at the node or pool.
func refusal(cfg node.Config, refused *problem.List) *Refused {
	problems := refused.Sorted()
	for i := range problems {
		if problems[i].At == (problem.At{}) {
			problems[i].At = cfg.At
		}
	}
	return &Refused{problems}
}

func encode(format string, butane Butane, cfg node.Config, refused *problem.List) (Document, error) {
	switch format {
	case CloudInit:
		docs, err := cloudinit.Encode(cfg, refused)
		if err != nil {
			return Document{}, err
		}
		files := []File{{UserData, docs.UserData}, {MetaData, docs.MetaData}}
		if docs.NetworkConfig != nil {
			files = append(files, File{NetworkConfig, docs.NetworkConfig})
		}
		return Document{files}, nil
	case Ignition:
		data, err := ignition.Encode(butane, cfg, refused)
		return Document{[]File{{IgnitionConfig, data}}}, err
	default:
		return Document{}, unknown(format)
	}
}

// ReadBack returns the configuration that a document gives a machine, read by the rules of the format's own consumer.
// What documents do not carry is empty: Name, Pool, places, templates and secrecy, and for Ignition InstanceID, Start and
// Done as well. The order of units, and of interfaces, is not kept.
func ReadBack(format string, doc Document) (node.Config, error) {
	byName := map[string][]byte{}
	for _, f := range doc.Files {
		byName[f.Name] = f.Data
	}
	switch format {
	case CloudInit:
		return cloudinit.Read(cloudinit.Documents{UserData: byName[UserData], MetaData: byName[MetaData], NetworkConfig: byName[NetworkConfig]})
	case Ignition:
		return ignition.Read(byName[IgnitionConfig])
	default:
		return node.Config{}, unknown(format)
	}
}

func unknown(format string) error {
	return fmt.Errorf("format %q is unknown; write %s or %s", format, CloudInit, Ignition)
}
