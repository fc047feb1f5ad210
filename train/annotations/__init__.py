"""Annotations: files of events and scores, and DESED."""
