"""Commands for many sources, day and night: `streamsed serve`, `streamsed events`."""
