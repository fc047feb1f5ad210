"""The environment of the commands that the tests start."""

import os
import tempfile
from pathlib import Path

# An editable install may announce its rebuild in every process.
os.environ["SKBUILD_EDITABLE_VERBOSE"] = "0"

# What is on loopback is asked itself, and what is printed is plain and not narrow,
# whatever the machine's owner prefers.
os.environ["no_proxy"] = os.environ["NO_PROXY"] = "127.0.0.1,localhost"
for name in ("FORCE_COLOR", "CLICOLOR_FORCE", "COLUMNS", "TTY_COMPATIBLE"):
    os.environ.pop(name, None)

# What the tests export is noted in a list of their own.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="streamsed-tests-")

ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "COLUMNS": "100",
}


def without(*packages):
    """Return an environment whose Python programs cannot import these packages."""
    hiding = str(Path(__file__).parent / "hiding")
    return ENVIRONMENT | {"PYTHONPATH": hiding, "HIDDEN_PACKAGES": " ".join(packages)}
