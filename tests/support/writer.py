"""A writer of a log, to be one of several processes.

A module of its own: a new process imports what it runs by name, and the tests have none.
"""

from streamsed.live.sinks.json_lines import JsonLines


def write_many(path, number):
    log = JsonLines.append(path)
    for n in range(500):
        log.on_record({"writer": number, "n": n, "padding": "x" * 300}, None)
