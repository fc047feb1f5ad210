"""The commands of `python -m train`, one file each: options to settings, no more."""
