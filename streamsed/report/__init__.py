"""Logs of `streamsed listen` in; what sounded when, how often and how long out."""
