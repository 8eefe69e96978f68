# Prints, as JSON, what cloud-init's own NoCloud data source and its user-data processor make of /run/consumer/seed. Anything they log as a
# warning or worse is printed as well, and fails the run: on a node cloud-init would go on without the part it did not understand. With the argument
# schema, every cloud-config in user-data goes through `cloud-init schema`, and there must be one.
import base64
import json
import logging
import os
import shutil
import sys

from cloudinit import helpers
from cloudinit.sources import DataSourceNoCloud


class Complaints(logging.Handler):
    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


def check_schema(cloud_config):
    """Runs `cloud-init schema` in a fork, to spare a second import, and fails unless it says that all is well and nothing else."""
    from cloudinit.cmd import main

    path, said = "/run/cloud-config", "/run/schema"
    with open(path, "wb") as f:
        f.write(cloud_config)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            sys.stdout = sys.stderr = open(said, "w")
            code = main.main(["cloud-init", "schema", "--config-file", path])
        except SystemExit as e:
            if isinstance(e.code, str):
                print(e.code, file=sys.stderr)
        finally:
            sys.stdout.flush()
            os._exit(code or 0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with open(said) as f:
        answer = f.read().strip()
    if code != 0 or answer != "Valid cloud-config: " + path:
        sys.exit("cloud-init schema: " + answer)


complaints = Complaints()
logging.getLogger().addHandler(complaints)

paths = helpers.Paths({
    "cloud_dir": "/var/lib/cloud",
    "run_dir": "/run/cloud-init",
    "templates_dir": "/etc/cloud/templates",
})
shutil.copytree("/run/consumer/seed", "/var/lib/cloud/seed/nocloud")
source = DataSourceNoCloud.DataSourceNoCloud({}, None, paths)
if not source._get_data():
    sys.exit("the NoCloud data source does not take this seed")
if source.metadata["instance-id"] == "nocloud":
    sys.exit("meta-data has no instance-id")
network = source.network_config
if network is not None and "network" in network:
    sys.exit("network-config has the top-level key network, which NoCloud does not look into")

parts = []
for part in source.get_userdata().walk():
    if part.is_multipart():
        continue
    parts.append({
        "ContentType": part.get_content_type(),
        "Filename": part.get_filename() or "",
        "Content": base64.b64encode(part.get_payload(decode=True)).decode(),
    })
if complaints.lines:
    sys.exit("\n".join(complaints.lines))

if "schema" in sys.argv[1:]:
    configs = [part for part in source.get_userdata().walk() if part.get_content_type() == "text/cloud-config"]
    if not configs:
        sys.exit("cloud-init finds no cloud-config in this user-data: it starts with #cloud-config or has a part of type text/cloud-config")
    for config in configs:
        check_schema(config.get_payload(decode=True))

raw = source.get_userdata_raw()
json.dump({
    "UserData": base64.b64encode(raw if isinstance(raw, bytes) else raw.encode()).decode(),
    "MetaData": source.metadata,
    "NetworkConfig": network,
    "Parts": parts,
}, sys.stdout)
