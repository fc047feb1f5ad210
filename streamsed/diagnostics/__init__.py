"""Diagnostics of this machine: `bench`, `doctor` and `--version`."""
