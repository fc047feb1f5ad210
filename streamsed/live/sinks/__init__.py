"""Receivers of live events: a pipe, a log, a command, a folder of clips."""
