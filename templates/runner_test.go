package templates

import (
	"regexp"
	"strings"
	"testing"
)

// SIGKILL of the runner alone, as the kernel does when memory runs out: the next one in the same boot goes on.
func TestRunnerIsKilled(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"prepare/commands-before"}, `COMMANDS_BEFORE=('echo one >>/srv/log' 'echo two >>/srv/log; [[ -e /standin/go ]] || { touch /standin/stuck; sleep 1000; }')`+"\n")
	m.write("srv/log", "", 0o644)
	const script = `
/bin/bash $1 prepare & runner=$!
until [[ -e /standin/stuck ]]; do sleep 0.05; done
kill -KILL $runner; touch /standin/go
/bin/bash $1 prepare`
	out, err := m.run(nil, "/bin/bash", "-c", script, "kill", runner)
	if err != nil || m.read("srv/log") != "one\ntwo\ntwo\n" {
		t.Errorf("%v, commands ran as %q\n%s", err, m.read("srv/log"), out)
	}
}

// Two runners of a phase, such as systemd's and a person's: one waits, and finds all done.
func TestTwoRunners(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"prepare/commands-before"}, "COMMANDS_BEFORE=('echo ran >>/srv/log; sleep 1')\n")
	m.write("srv/log", "", 0o644)
	out, err := m.run(nil, "/bin/bash", "-c", "/bin/bash $1 prepare & /bin/bash $1 prepare && wait $!", "two", runner)
	if err != nil || m.read("srv/log") != "ran\n" || !strings.Contains(out, "nothing to do") {
		t.Errorf("%v, the command ran as %q\n%s", err, m.read("srv/log"), out)
	}
}

// SIGTERM, as at a shutdown, ends the runner at once although a step is at work.
func TestRunnerIsStopped(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"prepare/commands-before"}, "COMMANDS_BEFORE=('touch /standin/stuck; exec sleep 1000')\n")
	const script = `
/bin/bash $1 prepare & runner=$!
until [[ -e /standin/stuck ]]; do sleep 0.05; done
kill -TERM $runner; wait $runner; echo "exit $?"`
	if out, err := m.run(nil, "/bin/bash", "-c", script, "stop", runner); err != nil || !strings.HasSuffix(out, "exit 143\n") {
		t.Errorf("%v\n%s", err, out)
	}
}

// What a step says reaches the journal while the step works: kubeadm and apt take minutes.
func TestStepIsFollowed(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"prepare/commands-before"}, "COMMANDS_BEFORE=('echo pulling images; until [[ -e /standin/go ]]; do sleep 0.05; done; echo pulled')\n")
	p := m.start(nil, "/bin/bash", runner, "prepare")
	p.waitFor(t, "\npulling images\n")
	m.outside("go", "")
	p.waitFor(t, "\npulled\nmuster: prepare 1/1 commands-before: done")
}

// Tries follow each other at 5, 10, 20, … s, 300 s at most; nothing but the pause is shortened here.
func TestBackOff(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"prepare/commands-before"}, "COMMANDS_BEFORE=('exit 7')\n")
	m.write("usr/local/sbin/sleep", "#!/bin/bash\n:\n", 0o755)
	p := m.start([]string{"MUSTER_RETRY="}, "/bin/bash", runner, "prepare")
	p.waitFor(t, "FAILED at try 9 (exit 7)", "| this failed: ")
	var pauses []string
	for _, found := range regexp.MustCompile(`tried again in (\d+) s`).FindAllStringSubmatch(p.out.String(), 8) {
		pauses = append(pauses, found[1])
	}
	if got, want := strings.Join(pauses, " "), "5 10 20 40 80 160 300 300"; got != want {
		t.Errorf("pauses are %s, not %s", got, want)
	}
}

// The script says so of a phase that it does not know; one without steps passes.
func TestUnknownPhase(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"verify/done"}, "")
	if out, err := m.run(nil, "/bin/bash", runner, "verfiy"); err == nil || !strings.Contains(out, "there is no phase verfiy") {
		t.Errorf("%v\n%s", err, out)
	}
	m.mustRun("bootstrap")
}
