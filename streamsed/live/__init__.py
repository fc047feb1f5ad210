"""A source in, updates of events out: what `streamsed listen` does."""
