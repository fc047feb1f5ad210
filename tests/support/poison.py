"""Workers for the tests that do to their process what bad luck does."""

import os
import time

from streamsed.corpus.worker import CorpusWorker


class PoisonedWorker(CorpusWorker):
    """Dies, hangs or swells on files that are named so; others are done as always."""

    def finish(self, task, begun):
        name = task.listed.uri.rpartition("/")[2]
        if name.startswith("abort"):
            os.abort()
        if name.startswith("hang"):
            time.sleep(3600)
        if name.startswith("swell"):
            swollen = [bytearray(b"x" * (50 << 20)) for _ in range(20)]
            time.sleep(3600)
            del swollen
        return super().finish(task, begun)


def unable(settings):
    raise ValueError("no worker today")


def dead(settings):
    os._exit(3)
