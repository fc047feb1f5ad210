"""Training: from sound banks and data sets to a model file. `python -m train --help`."""

import os

# Threads that spin at barriers stall each other on a busy machine. It must be said before
# torch starts them, hence here, where every way into training passes first.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
