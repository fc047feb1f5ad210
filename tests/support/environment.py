"""The environment of the commands that the tests start."""

import os

# An editable install may announce its rebuild in every process.
os.environ["SKBUILD_EDITABLE_VERBOSE"] = "0"

ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "COLUMNS": "100",
}
