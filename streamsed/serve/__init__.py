"""Day and night, from many sources: `streamsed serve`, its store, page and messages."""
