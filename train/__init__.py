"""Training: from sound banks and data sets to a model file. `python -m train --help`."""

import os

# Threads that spin at barriers stall each other on a busy machine. This must be set before
# torch starts them, hence here, in the first module that is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
