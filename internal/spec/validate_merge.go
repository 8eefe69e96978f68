package spec

import (
	"strings"

	"muster/internal/decode"
)

var mergeClusterRules = []func(*validator){ruleIdle}

// Rule: no block or map, and none of files, units and users, stands empty where a wider one says something: it takes
// nothing away (a warning).
func ruleIdle(v *validator) {
	check := func(wide, narrow Scope) {
		for _, at := range decode.Idle(wide, narrow) {
			if !v.unreadBelow(at.Path) {
				v.warnf(at, "leave it out, and write what is not to hold here only at the roles and nodes that it is for",
					"it is empty, which takes nothing away: what stands there for more machines holds here, too")
			}
		}
	}
	wide, byRole := v.wide(), v.roles()
	check(wide, v.Spec.ControlPlane)
	check(wide, v.Spec.Worker)
	for _, t := range v.targets {
		if t.Node != nil {
			check(byRole.of(t.Role.V), t.Node.Scope)
		} else {
			check(byRole.of(t.Role.V), t.Pool.Scope)
		}
	}
}

// unreadBelow reports whether something below a path could not be read.
func (v *validator) unreadBelow(path string) bool { return someBelow(v.unread, path) }

// someBelow reports whether one of some paths is below another one.
func someBelow(paths map[string]bool, path string) bool {
	for p := range paths {
		if strings.HasPrefix(p, path+".") || strings.HasPrefix(p, path+"[") {
			return true
		}
	}
	return false
}
