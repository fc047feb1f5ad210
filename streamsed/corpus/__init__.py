"""Corpora of any size: many recordings in, tables out, whatever happens on the way."""
