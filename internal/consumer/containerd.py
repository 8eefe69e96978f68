# Loads /run/consumer/config.toml with the containerd that is named and fails with every setting that is not in the configuration containerd made of it.
import subprocess
import sys
import tomllib

FILE = "/run/consumer/config.toml"


def lost(wanted, got, path):
    """Yields the path of each setting of wanted that got does not have with the same value."""
    if isinstance(wanted, dict):
        if not isinstance(got, dict):
            yield path
            return
        for key, value in wanted.items():
            if key not in got:
                yield path + [key]
            else:
                yield from lost(value, got[key], path + [key])
    elif wanted != got:
        yield path


dump = subprocess.run([sys.argv[1], "--config", FILE, "config", "dump"], capture_output=True, text=True)
sys.stderr.write(dump.stderr)
if dump.returncode != 0:
    sys.exit(dump.returncode)
with open(FILE, "rb") as f:
    document = tomllib.load(f)
# containerd adds the file itself to what it imported.
document.pop("imports", None)
for path in lost(document, tomllib.loads(dump.stdout), []):
    print("containerd does not know the setting, or changes it:", ".".join(path), file=sys.stderr)
