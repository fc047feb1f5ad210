"""Thresholds that a model file carries, and what is found at others."""
