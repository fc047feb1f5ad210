"""History of events, gaps and seconds listened, in an SQLite file."""
