"""A trained run to one model file, checked with every engine."""
