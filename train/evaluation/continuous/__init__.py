"""Evaluation on continuous recordings: what a user meets of a detector as it runs."""
