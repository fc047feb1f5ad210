"""Thresholds stored in a model file, and recall at other thresholds."""
