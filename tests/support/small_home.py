"""A home for the tests of the page: real store, feed, metrics and server, no detection.

What a service would detect is given by the tests: `report` makes the record of an event and
hands it to every sink, as the service does. The pictures are of noise, and as long as the
home has existed, so that the page has something to move.
"""

import contextlib
import http.client
import json
import time
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from streamsed.inference.model_file import ModelFile, find_model
from streamsed.live.snapshot import Snapshot
from streamsed.serve.metrics import ServeMetrics
from streamsed.serve.page.feed import PageFeed
from streamsed.serve.page.pictures.event_pictures import EventPictures
from streamsed.serve.page.server import PageServer
from streamsed.serve.settings import PageSettings
from streamsed.serve.status import SourceStatus
from streamsed.serve.store.reader import StoreReader
from streamsed.serve.store.sink import StoreSink

COLUMN = 0.04  # s of a picture's column
FRAME = 0.08  # s of a score frame
N_COLUMNS = 3000
PATIENCE = 20.0  # s that anything may take on a busy machine


def until(condition, patience=PATIENCE):
    """Wait for a condition, and return what it gave."""
    end = time.monotonic() + patience
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
    return found


class SmallHome:
    """Sources by name, a store in a folder, and the page at a free port.

    Parameters
    ----------
    folder : Path
        For the store and the pictures.
    names : sequence of str
        Of the sources.
    page
        Settings of the page beside its port.
    """

    def __init__(self, folder, names=("kitchen", "hall"), *, clips=None, **page):
        self.began = time.time() - 60  # there is a minute to be seen
        self.run = f"{time.time_ns() % 0xFFFFFFFF:08x}"
        self.info = ModelFile.open(find_model("default")).info
        self.labels = self.info.labels
        self.statuses = {name: self._status(name) for name in names}
        self.noise = np.random.default_rng(1).integers(
            60, 140, (N_COLUMNS, 64), dtype=np.uint8
        )
        self.loud = {}  # scores by source and label
        self.store_path = folder / "home.sqlite"
        self.store = StoreSink(self.store_path)
        self.feed = PageFeed()
        self.metrics = ServeMetrics(
            self.sources,
            build={"version": "0.1.0", "model": "default", "engine": "none"},
            failures=lambda: {"webhook": {"failed": 3}},
            load=lambda: 0.25,
        )
        self.pictures = EventPictures(folder / "pictures", self)
        self.sinks = [self.store, self.feed, self.metrics, self.pictures]
        self.server = PageServer(
            PageSettings(**{"port": 0} | page),
            self,
            model=self.info,
            feed=self.feed,
            open_store=lambda: StoreReader(self.store_path),
            metrics=self.metrics.exposition,
            pictures=self.pictures,
            clips=clips,
            in_force={"page": {"address": "127.0.0.1"}},
        )
        self.port = self.server.port
        self._n_events = 0

    def __enter__(self):
        self.server.start()
        until(lambda: self.get("/healthz")[0])
        return self

    def __exit__(self, *_):
        self.server.stop()
        for sink in self.sinks:
            sink.close()

    @property
    def now(self):
        return time.time() - self.began

    # What the page asks of a service.

    def sources(self):
        now = self.now
        return [
            replace(status, listened=now) if status.state == "running" else status
            for status in self.statuses.values()
        ]

    def arm(self, name, *, armed):
        self.statuses[name] = replace(self.statuses[name], armed=armed)

    def snapshot(self, name):
        if self.statuses[name].state == "starting":
            return None
        end = int(self.now / COLUMN)
        n_frames = int(self.now / FRAME)
        first = max(0, n_frames - 400)
        scores = np.full((n_frames - first, len(self.labels)), 0.02, np.float32)
        for (source, label), (onset, offset) in self.loud.items():
            if source == name:
                rows = slice(
                    max(0, int(onset / FRAME) - first),
                    max(0, int(min(offset, self.now) / FRAME) - first),
                )
                scores[rows, self.labels.index(label)] = 0.9
        newest = np.arange(max(0, end - N_COLUMNS), end) % N_COLUMNS
        return Snapshot(
            source=name, capture_rate=44100, step=0.5, latency=1.0, load=0.1, lost=0.0,
            now=self.now, peak=0.1, labels=self.labels, scores=scores,
            scores_end=n_frames * FRAME, frame_duration=FRAME, events=(), notice="",
            origin=self.began, thresholds=(0.5,) * len(self.labels),
            picture=self.noise[newest], picture_end=end, column_duration=COLUMN,
        )  # fmt: skip

    # What the tests do.

    def send(self, record):
        for sink in self.sinks:
            sink.on_record(record, None)

    def report(self, source, label, *states, ago=1.0, lasts=0.5, number=None, **more):
        """Report an event in these states, and return its number."""
        if number is None:
            self._n_events += 1
            number = self._n_events
        onset = self.now - ago
        self.loud[source, label] = (onset, onset + lasts)
        for state in states:
            ongoing = state in ("opened", "updated")
            self.send(
                {
                    "at": round(onset + 0.4, 3), "run": self.run, "source": source,
                    "state": state, "id": number, "label": label,
                    "onset": round(onset, 3),
                    "offset": None if ongoing else round(onset + lasts, 3),
                    "score": 0.875, "time": self.clock(onset), **more,
                }
            )  # fmt: skip
        return number

    def lifecycle(self, source, label, **more):
        return self.report(source, label, "opened", "ended", "closed", **more)

    def written(self):
        """Wait until the store has what was reported."""
        assert self.store.writer.wait_until_written(PATIENCE)

    def clock(self, seconds):
        moment = datetime.fromtimestamp(self.began + seconds, UTC)
        return moment.isoformat(timespec="milliseconds")

    def set(self, name, **changes):
        self.statuses[name] = replace(self.statuses[name], **changes)

    def ask(self, method, path, *, body=None, **headers):
        """Return status, headers and body of a request."""
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=PATIENCE
        )
        with contextlib.closing(connection):
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body=body, headers=names)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()

    def get(self, path, **headers):
        return self.ask("GET", path, **headers)

    def json(self, path, **headers):
        status, _, body = self.get(path, **headers)
        assert status == 200, body
        return json.loads(body)

    def _status(self, name):
        return SourceStatus(
            name, "running", f"rtsp://{name}.local/sound", level=-42.0, listened=60.0,
            since_audio=0.1,
        )  # fmt: skip


class Stream:
    """A stream of server-sent events, read as it comes."""

    def __init__(self, home, path="/events", **headers):
        self._connection = http.client.HTTPConnection(
            "127.0.0.1", home.port, timeout=PATIENCE
        )
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        self._connection.request("GET", path, headers=names)
        self.answer = self._connection.getresponse()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.answer.close()
        self._connection.close()

    def next(self, kind="message"):
        """Return the next message of a kind: its number, or None, and its data."""
        found, number, data = "message", None, None
        end = time.monotonic() + PATIENCE
        while line := self.answer.readline().decode():
            assert time.monotonic() < end, f"no {kind} came"
            name, _, value = line.rstrip("\n").partition(": ")
            if name == "event":
                found = value
            elif name == "id":
                number = int(value)
            elif name == "data":
                data = value
            elif not name:
                if found == kind and data is not None:
                    return number, json.loads(data)
                found, number, data = "message", None, None
        raise EOFError

    def records(self, n):
        """Return the next so many records."""
        return [self.next()[1] for _ in range(n)]
