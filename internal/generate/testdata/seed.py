# Prints, as JSON, what cloud-init makes of the kernel command line in DEBUG_PROC_CMDLINE: what the data source fetches from the network, whether a later
# boot would trust what it has, and the static network.
import base64
import json
import sys
import urllib.request

from cloudinit import helpers, util
from cloudinit.net import cmdline
from cloudinit.sources import DataSourceNoCloud as nocloud

paths = helpers.Paths({"cloud_dir": "/nonexistent", "run_dir": "/nonexistent", "templates_dir": "/nonexistent"})
if nocloud.DataSourceNoCloud({}, None, paths)._get_data():
    sys.exit("the data source that runs before the network takes the machine")
source = nocloud.DataSourceNoCloudNet({}, None, paths)
if not source._get_data():
    sys.exit("the data source does not take the machine")
network = cmdline.read_kernel_cmdline_config()
served = util.load_yaml(urllib.request.urlopen(source.metadata["seedfrom"] + "network-config").read())
json.dump({
    "UserData": base64.b64encode(source.get_userdata_raw()).decode(),
    "MetaData": source.metadata,
    "Mode": source.dsmode,
    "Trusted": source.check_instance_id({}),
    "Network": network,
    "NetworkAsServed": network == served,
}, sys.stdout)
