"""Live detection: a source in, updates of events out."""
