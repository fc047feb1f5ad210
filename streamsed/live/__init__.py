"""A source in, changes of events out: what `streamsed listen` does."""
