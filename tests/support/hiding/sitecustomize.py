"""Python starts as if the packages in HIDDEN_PACKAGES were not installed."""

import os
import sys

for name in os.environ.get("HIDDEN_PACKAGES", "").split():
    sys.modules[name] = None  # what the import system takes for "not there"
