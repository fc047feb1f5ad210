"""The environment of the commands that the tests start."""

import os
import tempfile

# An editable install may announce its rebuild in every process.
os.environ["SKBUILD_EDITABLE_VERBOSE"] = "0"

# What the tests export is noted in a list of their own.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="streamsed-tests-")

ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "COLUMNS": "100",
}
