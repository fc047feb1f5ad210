"""Outputs that only `streamsed serve` has: a log that never waits, and the terminal."""
