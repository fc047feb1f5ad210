"""`streamsed corpus` and its subcommands `export` and `search`."""
