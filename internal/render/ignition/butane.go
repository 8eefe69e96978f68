package ignition

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	base4 "github.com/coreos/butane/base/v0_4"
	base5 "github.com/coreos/butane/base/v0_5"
	base6 "github.com/coreos/butane/base/v0_6"
	base7 "github.com/coreos/butane/base/v0_7"
	fcos14 "github.com/coreos/butane/config/fcos/v1_4"
	fcos15 "github.com/coreos/butane/config/fcos/v1_5"
	fcos16 "github.com/coreos/butane/config/fcos/v1_6"
	fcos17 "github.com/coreos/butane/config/fcos/v1_7"
	flatcar10 "github.com/coreos/butane/config/flatcar/v1_0"
	flatcar11 "github.com/coreos/butane/config/flatcar/v1_1"
	"github.com/coreos/vcontext/report"
)

// flatcar is the variant whose machines run systemd-networkd.
const flatcar = "flatcar"

// translators holds every kind of Butane configuration that is supported, from Ignition 3.3 on: the first that both
// variants have. Each makes Ignition's own structure; the version of its specification follows from the kind.
var translators = map[Butane]func(base4.Config) (any, report.Report, error){
	{flatcar, "1.0.0"}: func(doc base4.Config) (any, report.Report, error) {
		return result(flatcar10.Config{Config: doc}.ToIgn3_3(options))
	},
	{flatcar, "1.1.0"}: func(doc base4.Config) (any, report.Report, error) {
		return later(doc, func(doc base5.Config) (any, report.Report, error) {
			return result(flatcar11.Config{Config: doc}.ToIgn3_4(options))
		})
	},
	{"fcos", "1.4.0"}: func(doc base4.Config) (any, report.Report, error) {
		return result(fcos14.Config{Config: doc}.ToIgn3_3(options))
	},
	{"fcos", "1.5.0"}: func(doc base4.Config) (any, report.Report, error) {
		return later(doc, func(doc base5.Config) (any, report.Report, error) {
			return result(fcos15.Config{Config: doc}.ToIgn3_4(options))
		})
	},
	{"fcos", "1.6.0"}: func(doc base4.Config) (any, report.Report, error) {
		return later(doc, func(doc base6.Config) (any, report.Report, error) {
			return result(fcos16.Config{Config: doc}.ToIgn3_5(options))
		})
	},
	{"fcos", "1.7.0"}: func(doc base4.Config) (any, report.Report, error) {
		return later(doc, func(doc base7.Config) (any, report.Report, error) {
			return result(fcos17.Config{Config: doc}.ToIgn3_6(options))
		})
	},
}

// result only forgets the type of a translated configuration.
func result[T any](translated T, complaints report.Report, err error) (any, report.Report, error) {
	return translated, complaints, err
}

// later carries a configuration over to a later version of Butane's types, whose fields are those of the earlier version
// and more, and translates it. The way leads through JSON because Go converts between struct types only when the types
// inside are the same; a field that the later version lacked would be an error, and strings come through exactly as
// package render lets only valid UTF-8 pass.
func later[T any](doc base4.Config, translate func(T) (any, report.Report, error)) (any, report.Report, error) {
	encoded, err := json.Marshal(doc)
	if err != nil {
		return nil, report.Report{}, err
	}
	var to T
	d := json.NewDecoder(bytes.NewReader(encoded))
	d.DisallowUnknownFields()
	if err := d.Decode(&to); err != nil {
		return nil, report.Report{}, fmt.Errorf("carry over to %T: %w", to, err)
	}
	return translate(to)
}

// supported lists the keys of translators for a message.
func supported() string {
	var all []string
	for kind := range maps.Keys(translators) {
		all = append(all, kind.Variant+" "+kind.Version)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}
