# The four stages of a boot with cloud-init's own command, in a sandbox: seed in /run/consumer/seed, everything that was said in /run/consumer/log. One
# process per stage as on a node, but forked after the import, which is most of a stage's time.
import os
import re
import sys

from cloudinit.cmd import main

CONFIG = """\
datasource_list: [NoCloud]
datasource: {NoCloud: {seedfrom: /run/consumer/seed/}}
network: {config: disabled}
cloud_init_modules: [bootcmd, write-files, set_hostname, update_hostname, update_etc_hosts, users-groups]
cloud_config_modules: [runcmd]
cloud_final_modules: [write-files-deferred]
"""
STAGES = [["init", "--local"], ["init"], ["modules", "--mode=config"], ["modules", "--mode=final"]]
LOG = "/var/log/cloud-init.log"
# The network is cut off, and cloud-init told not to configure it. This is its mark of having done so in this boot, which documents look for.
NETWORK_APPLIED = "/run/cloud-init/sem/apply_network_config.once"


def run(stage):
    """Runs one stage in a process of its own and returns its exit code."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code = 1
    try:
        out = os.open("/run/consumer/log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(out, 1)
        os.dup2(out, 2)
        code = main.main(["cloud-init", "--file", "/run/consumer/cloud.cfg", *stage])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code or 0)


with open("/run/consumer/cloud.cfg", "w") as f:
    f.write(CONFIG)
# Of a boot before this one, in the same root.
if os.path.exists(LOG):
    os.remove(LOG)
os.makedirs(os.path.dirname(NETWORK_APPLIED), exist_ok=True)
open(NETWORK_APPLIED, "w").close()
failed = [" ".join(stage) for stage in STAGES if run(stage) != 0]
with open(LOG) as log, open("/run/consumer/log", "a") as everything:
    for line in log:
        everything.write(line)
        if re.search(r" - .*\[(WARNING|ERROR|CRITICAL)\]: ", line):
            failed.append(line.rstrip())
if failed:
    sys.exit("\n".join(failed))
