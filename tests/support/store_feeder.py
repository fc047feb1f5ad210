"""Write a store without end, and say after every commit which events are in it.

`python store_feeder.py STORE RUN`: is killed by the test.
"""

import sys
from itertools import count
from pathlib import Path

from serve_records import Sounds, send

from streamsed.serve.store.sink import StoreSink


def main():
    path, run = sys.argv[1:]
    sink = StoreSink(Path(path), days=None, max_bytes=None)
    sounds = Sounds(run=run)
    send(sink, sounds.started())
    for number in count(1):
        send(sink, *sounds.lifecycle(number, 10.0 * number, 10.0 * number + 2))
        send(sink, sounds.status(10.0 * number + 9))
        if sink.writer.wait_until_written(60):
            print(number, flush=True)


if __name__ == "__main__":
    main()
