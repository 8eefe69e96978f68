package spec

import "strings"

var pxeClusterRules = []func(*validator){ruleBaseURL}

// Rule: pxe.baseURL is an http or https URL without a slash at the end, and without query.
func ruleBaseURL(v *validator) {
	base := v.Spec.PXE.BaseURL
	if !base.Set {
		return
	}
	v.checkURL(base)
	switch {
	case strings.Contains(base.V, "?"):
		v.errorf(base.At, "write it without ?...", "paths are put after it")
	case strings.HasSuffix(base.V, "/"):
		v.errorf(base.At, "write "+strings.TrimRight(base.V, "/"), "paths that start with a slash are put after it")
	}
}
