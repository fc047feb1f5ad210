"""Summaries of the logs of `streamsed listen`: which events occurred when and how long."""
