"""Files in, results out: what `streamsed file` does."""
