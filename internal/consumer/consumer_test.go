package consumer

import (
	"strings"
	"testing"
)

// refused checks that a check fails and that its message shows what the program itself said.
func refused(t *testing.T, want string, check func(testing.TB)) {
	t.Helper()
	if said := Refuses(t, check); !strings.Contains(said, want) {
		t.Errorf("the refusal does not say %q:\n%s", want, said)
	}
}

func TestRefusesFailsWhenTheCheckPasses(t *testing.T) {
	refused(t, "the check passed", func(tb testing.TB) {
		Refuses(tb, func(testing.TB) {})
	})
}

func TestMissingToolSaysHowToGetIt(t *testing.T) {
	refused(t, "run make tools", func(tb testing.TB) { built(tb, "tools", "kubeadm-v1.99.*") })
	refused(t, "run make test-deps", func(tb testing.TB) { installed(tb, "no-such-program") })
}
