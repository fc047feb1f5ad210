"""The history of a household: events, gaps and seconds listened, in one SQLite file."""
