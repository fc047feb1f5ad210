"""Outputs of `streamsed serve` only: a log that never blocks, and the terminal."""
