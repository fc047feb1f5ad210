"""A whole house: the command with a camera, radios, a store, a broker and a page.

Of four sources one dies again and again, one stalls half-open and one floods. Every event
of the others is in log, store and broker, once. `STREAMSED_SERVE_MINUTES=10` makes it last
as long as that (`make household`); it takes half a minute else.
"""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from pathlib import Path

import pytest
from broker import Broker, Subscriber
from environment import ENVIRONMENT
from ports import free_port
from serving import Camera, Radio, endless_bursts, wait_for

from streamsed.serve import job
from streamsed.serve.store.reader import StoreReader

pytestmark = pytest.mark.slow

SECONDS = 60 * float(os.environ.get("STREAMSED_SERVE_MINUTES", "0.25"))
IN_FULL = SECONDS >= 600
"""Whether the machine is to be quiet, so that times are measured too."""
STOPPED_WITHIN = 2.0 if IN_FULL else 30.0
"""Seconds that ending may take."""
GROWTH = 8.0 if IN_FULL else 60.0
"""MB by which memory may grow: in a short time its history is not full yet."""
PAUSE = 5.0 if IN_FULL else 30.0
"""Seconds for which the page may send nothing."""


class Serving:
    """The command, and what it writes into its log."""

    def __init__(self, folder, text):
        self.file = folder / "home.toml"
        self.file.write_text(text)
        self._log = folder / "log.jsonl"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "streamsed", "serve", self.file],
            env=ENVIRONMENT,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.errors = ""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self.process.stderr:
            self.errors += line

    def records(self, *states, source=None):
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        read = [json.loads(line) for line in lines]
        return [
            record
            for record in read
            if record["state"] in states and source in (None, record["source"])
        ]

    def wait_for(self, true, seconds=60.0):
        def holds():
            assert self.process.poll() is None, self.errors
            return true()

        return wait_for(holds, seconds, why=lambda: self.errors)

    def resident(self):
        """MB of memory that the process has."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024

    def stop(self):
        """End it as systemd does; return its exit code and the seconds it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(30)
        took = time.monotonic() - began
        self.process.kill()
        code = self.process.wait()
        self._reader.join()
        self.process.stderr.close()
        return code, took


@contextlib.contextmanager
def serving(folder, text):
    served = Serving(folder, text)
    try:
        yield served
    finally:
        served.stop()


class Viewer:
    """Somebody who looks at the page all the time."""

    def __init__(self, url):
        self.came = []
        self._url = url
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self):
        with urllib.request.urlopen(f"{self._url}/events", timeout=30) as stream:
            for line in stream:
                if self._closing.is_set():
                    return
                if line.startswith(b"data:"):
                    self.came.append(time.monotonic())

    @property
    def longest_pause(self):
        came = list(self.came)
        return max(b - a for a, b in itertools.pairwise(came))

    def close(self):
        self._closing.set()
        self._thread.join(30)


def get(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read().decode()


def closed_in(records):
    return Counter((r["run"], r["id"]) for r in records if r["state"] == "closed")


def test_every_event_of_the_good_is_kept_once_whatever_the_others_do(
    tmp_path, model_path
):
    port = free_port()
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(Broker(tmp_path))
        sound = endless_bursts(60)
        good = Camera(tmp_path, endless_bursts(SECONDS + 120))
        stack.callback(good.stop)
        (tmp_path / "stalls").mkdir()
        stalls = Camera(tmp_path / "stalls", sound)
        stack.callback(stalls.stop)
        stack.callback(stalls.resume)
        radio = Radio(tmp_path, sound)
        stack.callback(radio.stop)
        listener = stack.enter_context(Subscriber(broker.port))
        served = stack.enter_context(
            serving(
                tmp_path,
                f"""\
model = "{model_path}"
step = 0.5
settle = 2
[[source]]
name = "good"
url = "{good.url}"
[[source]]
name = "dies"
url = "{radio.url}/dies"
[[source]]
name = "stalls"
url = "{stalls.url}"
[[source]]
name = "floods"
url = "{radio.url}/flood"
[log]
path = "{tmp_path}/log.jsonl"
[store]
path = "{tmp_path}/home.sqlite"
[mqtt]
url = "{broker.url}"
[page]
address = "127.0.0.1:{port}"
""",
            )
        )
        page = f"http://127.0.0.1:{port}"
        served.wait_for(lambda: served.records("closed", source="good"))
        viewer = Viewer(page)
        served.wait_for(lambda: viewer.came)
        stalls.pause()
        began, memory = time.monotonic(), []
        while time.monotonic() - began < SECONDS:
            time.sleep(1)
            memory.append(served.resident())
            health = json.loads(get(f"{page}/healthz"))
            assert "good" in health["flowing"], health
        pause = viewer.longest_pause
        viewer.close()
        names = [source["name"] for source in json.loads(get(f"{page}/api/sources"))]
        code, took = served.stop()
        listener.wait(lambda each: len(mqtt_closed(each)) >= len(in_log(served)))
        quarter = len(memory) // 4
        growth = max(memory[-quarter:]) - max(memory[quarter : 2 * quarter])
        print(
            f"{SECONDS:.0f} s: {len(in_log(served))} events, {memory[-1]:.0f} MB, "
            f"{growth:+.1f} MB in the second half, longest pause of the page {pause:.2f} "
            f"s, ended in {took:.2f} s"
        )
        assert code == 0
        assert took < STOPPED_WITHIN
        assert in_log(served) == mqtt_closed(listener) == in_store(tmp_path)
        assert set(in_log(served).values()) == {1}
        assert names == ["good", "dies", "stalls", "floods"]
        assert pause < PAUSE
        assert growth < GROWTH
        check_sources(served)


def in_log(served):
    return closed_in(served.records("closed", source="good"))


def mqtt_closed(listener):
    payloads = listener.of("streamsed/good/records")
    return closed_in(json.loads(payload) for payload in payloads)


def in_store(folder):
    with StoreReader(folder / "home.sqlite") as store:
        return Counter(
            (event.run, event.number)
            for event in store.events()
            if event.source == "good" and event.state == "closed"
        )


def check_sources(served):
    """The good one lost nothing, and its events lie where they were played."""
    dogs = [
        record["onset"]
        for record in served.records("closed", source="good")
        if record["label"] == "Dog"
    ]
    assert len(dogs) >= SECONDS // 2 - 1
    steps = [b - a for a, b in itertools.pairwise(dogs)]
    assert max(abs(step - 2.0) for step in steps) < 0.25
    assert len({run for run, _ in in_log(served)}) == 1
    heard = {record["source"]: record["heard"] for record in served.records("stopped")}
    assert heard["good"] >= SECONDS
    assert heard["floods"] <= SECONDS + 120
    assert [r for r in served.records("gap") if r["source"] == "stalls"]
    states = {r["status"] for r in served.records("status", source="dies")}
    assert "waiting" in states


def test_a_hang_up_reads_the_file_again_and_a_wrong_one_changes_nothing(
    tmp_path, model_path
):
    def text(*names, more=""):
        sources = "".join(
            f"[[source]]\nname = '{name}'\nurl = 'examples/scene.flac'\nloop = true\n"
            for name in names
        )
        log = f"[log]\npath = '{tmp_path}/log.jsonl'\n"
        return f"model = '{model_path}'\n{more}{sources}{log}"

    with serving(tmp_path, text("one", "two")) as served:
        served.wait_for(lambda: len(served.records("listening")) >= 2)
        served.file.write_text(text("one", "three"))
        served.process.send_signal(signal.SIGHUP)
        served.wait_for(lambda: served.records("started", source="three"))
        served.wait_for(lambda: served.records("stopped", source="two"))
        served.file.write_text(text("one", more="sensitvity = 'low'\n"))
        served.process.send_signal(signal.SIGHUP)
        served.wait_for(lambda: "home.toml:2: 'sensitvity' is not" in served.errors)
        code, took = served.stop()
        assert code == 0
        assert took < STOPPED_WITHIN
    assert len(served.records("started", source="one")) == 1
    assert len(served.records("stopped", source="one")) == 1
    assert len(served.records("stopped", source="three")) == 1


def test_check_names_a_package_that_a_table_lacks(tmp_path, monkeypatch, capsys):
    path = tmp_path / "home.toml"
    path.write_text('[[source]]\nname = "door"\nurl = "rtsp://127.0.0.1/door"\n')
    lacking = {"page": ("no_such_package",), "mqtt": ("no_such_package",)}
    monkeypatch.setattr(job, "PACKAGES", lacking)
    assert job.ServeJob(path).check() == 0  # it has neither table
    assert "all settings are valid (1 source)\n" in capsys.readouterr().err
    with path.open("a") as file:
        file.write("[page]\n")
    assert job.ServeJob(path).check() == 1
    said = capsys.readouterr().err
    assert "[page] needs the package no_such_package: pip install" in said
    assert "[mqtt]" not in said
    assert "all settings are valid" not in said


def test_check_names_every_mistake_with_its_line(tmp_path, streamsed):
    path = tmp_path / "home.toml"
    path.write_text("step = 0\n[[source]]\nname = 'a'\n[page]\nadress = 'x'\n")
    run = streamsed("serve", path, "--check")
    assert run.returncode == 2
    lines = run.stderr.splitlines()
    starts = [f"streamsed: {path}:{number}: " for number in (1, 2, 5)]
    assert [line.startswith(start) for line, start in zip(lines, starts, strict=True)]
    path.write_text("[[source]]\nname = 'a'\nurl = '-'\n")
    run = streamsed("serve", path, "--check")
    assert run.returncode == 0
    assert "all settings are valid" in run.stderr
    run = streamsed("serve", tmp_path / "nope.toml")
    assert run.returncode == 2
    assert "Traceback" not in run.stderr
