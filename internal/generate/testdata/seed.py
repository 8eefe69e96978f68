# Prints, as JSON, what cloud-init makes of the kernel command line in DEBUG_PROC_CMDLINE: what the data source fetches from the network, and whether a later
# boot would trust what it has.
import base64
import json
import sys

from cloudinit import helpers
from cloudinit.sources import DataSourceNoCloud as nocloud

paths = helpers.Paths({"cloud_dir": "/nonexistent", "run_dir": "/nonexistent", "templates_dir": "/nonexistent"})
if nocloud.DataSourceNoCloud({}, None, paths)._get_data():
    sys.exit("the data source that runs before the network takes the machine")
source = nocloud.DataSourceNoCloudNet({}, None, paths)
if not source._get_data():
    sys.exit("the data source does not take the machine")
json.dump({
    "UserData": base64.b64encode(source.get_userdata_raw()).decode(),
    "MetaData": source.metadata,
    "Mode": source.dsmode,
    "Trusted": source.check_instance_id({}),
}, sys.stdout)
