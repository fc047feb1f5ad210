"""Thresholds for one room: the events that normal sound there causes, and how to avoid them."""
