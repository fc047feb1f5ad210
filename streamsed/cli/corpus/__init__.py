"""`streamsed corpus`, with `export` and `search` under it."""
