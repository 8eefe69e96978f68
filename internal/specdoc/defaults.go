package main

import (
	"fmt"
	"reflect"
	"strings"

	"muster/internal/decode"
	"muster/internal/problem"
	"muster/internal/spec"
)

// defaultValue is what holds where the spec sets nothing. A computed one depends on the rest of the spec.
type defaultValue struct {
	value    any
	computed bool
}

// readDefaults lets the spec's own pass fill in two small specs that differ in all that defaults depend on; a default
// that comes out the same in both is a constant.
func readDefaults() (map[string]defaultValue, error) {
	old, err := defaultsOf("old", "v1.17.4")
	if err != nil {
		return nil, err
	}
	recent, err := defaultsOf("recent", "v1.36.0")
	if err != nil {
		return nil, err
	}
	found := map[string]defaultValue{}
	for path, value := range recent {
		found[path] = defaultValue{value: value, computed: old[path] != value}
	}
	return found, nil
}

// defaultsOf returns the defaults of a spec with one control plane, by path.
func defaultsOf(cluster, version string) (map[string]any, error) {
	text := strings.ReplaceAll("{apiVersion: muster/v1, kind: Cluster, metadata: {name: NAME}, spec: {profile: p, nodes: [{name: a, role: control-plane}]}}", "NAME", cluster)
	var c spec.Cluster
	var problems problem.List
	decode.Into(&c, []byte(text), &problems)
	if problems.Failed() {
		return nil, fmt.Errorf("the spec that defaults are read from: %s", problems.Sorted()[0])
	}
	c.Default(spec.Facts{Profiles: map[string]spec.ProfileFacts{"p": {DefaultVersion: version}}})
	found := map[string]any{}
	collectDefaults(reflect.ValueOf(c), found)
	return found, nil
}

// collectDefaults gathers the values below part that no line of a file holds.
func collectDefaults(part reflect.Value, found map[string]any) {
	if part.Kind() != reflect.Struct {
		return
	}
	set, at := part.FieldByName("Set"), part.FieldByName("At")
	if set.IsValid() && at.IsValid() {
		if place := at.Interface().(spec.At); set.Bool() && !place.Known() {
			found[place.Path] = part.FieldByName("V").Interface()
		}
		return
	}
	for i := range part.NumField() {
		collectDefaults(part.Field(i), found)
	}
}
