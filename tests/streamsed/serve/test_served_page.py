"""`streamsed serve` as it is started: page, store, systemd, signals, all at once."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
import soundfile
from browsers import find_browser
from environment import ENVIRONMENT, without
from listening import bursts
from ports import free_port
from serving import wait_for
from small_home import Stream
from sounds import RATE

pytestmark = pytest.mark.slow

HOME = """
model = "{model}"
step = 0.5
settle = 2.0

[[source]]
name = "kitchen"
url = "barks.wav"
loop = true

[[source]]
name = "attic"
url = "rtsp://127.0.0.1:1/none"
{more}
[page]
address = "127.0.0.1:{port}"
"""


class Program:
    """The command, with a socket where systemd listens."""

    def __init__(self, folder, model_path, more=""):
        barks = bursts([("Dog", 1.0, 0.5), ("Dog", 3.0, 0.5)], 5.0)
        soundfile.write(folder / "barks.wav", barks, RATE)
        self.port = free_port()
        self.file = folder / "home.toml"
        self.text = HOME.format(model=model_path, port=self.port, more=more)
        self.file.write_text(self.text)
        self.scratch = folder / "scratch"
        self.scratch.mkdir()
        self.systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify = f"streamsed-{os.urandom(6).hex()}"  # no path, which may be too long
        self.systemd.bind(f"\0{notify}")
        self.systemd.settimeout(90)
        self.said = (folder / "said.txt").open("w+")
        about = {"NOTIFY_SOCKET": f"@{notify}", "WATCHDOG_USEC": "3000000",
                 "TMPDIR": str(self.scratch)}  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, "-m", "streamsed", "serve", self.file],
            stderr=self.said, env={**ENVIRONMENT, **about}, cwd=folder,
        )  # fmt: skip

    def __enter__(self):
        self.wait_notified("READY=1")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.systemd.close()
        self.said.close()

    def wait_notified(self, sentence):
        """Wait until systemd receives a notification; return the whole message."""
        while sentence not in (reported := self.systemd.recv(4096).decode()).split(
            "\n"
        ):
            pass
        return reported

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def json(self, path):
        return json.loads(self.get(path)[1])


def test_events_go_from_a_recording_to_stream_store_health_and_metrics(
    tmp_path, model_path
):
    with Program(tmp_path, model_path, '[store]\npath = "home.sqlite"') as program:
        seen = set()
        with Stream(program, "/events?picture=kitchen") as stream:
            assert stream.next("picture")[1]["labels"] == ["Speech", "Dog"]
            while not {"opened", "closed"} <= seen:
                _, record = stream.next()
                if record.get("label") == "Dog":
                    assert record["source"] == "kitchen"
                    seen.add(record["state"])
        wait_for(lambda: program.json("/healthz")["flowing"] == ["kitchen"])
        assert program.json("/healthz")["status"] == "degraded"
        assert "attic" in program.json("/healthz")["silent"]
        stored = wait_for(
            lambda: program.json("/api/events?since=1h&state=closed&label=Dog")
        )
        assert {event["source"] for event in stored} == {"kitchen"}
        described = wait_for(
            lambda: next(
                (e for e in program.json("/api/events?label=Dog") if e["picture"]), None
            )
        )
        status, png = program.get("/" + described["picture"]["url"])
        assert (status, png[:4]) == (200, b"\x89PNG")
        metrics = program.get("/metrics")[1].decode()
        assert 'streamsed_events_total{label="Dog",source="kitchen"}' in metrics
        assert 'streamsed_source_up{source="attic"} 0.0' in metrics
        wait_for(
            lambda: any(
                hour["source"] == "kitchen" and hour["heard"] > 1.0
                for hour in program.json("/api/hours?since=2h")["listened"]
            )
        )
    assert (tmp_path / "home.sqlite.pictures").is_dir()


def test_systemd_is_notified_of_start_life_reload_and_end(tmp_path, model_path):
    with Program(tmp_path, model_path) as program:
        program.wait_notified("WATCHDOG=1")
        program.file.write_text(program.text.replace("attic", "cellar"))
        program.process.send_signal(signal.SIGHUP)
        assert "MONOTONIC_USEC=" in program.wait_notified("RELOADING=1")
        program.wait_notified("READY=1")
        names = [source["name"] for source in program.json("/api/sources")]
        assert sorted(names) == ["cellar", "kitchen"]
        assert program.json("/api/settings")["sources"][1]["name"] == "cellar"
        with Stream(program) as stream:
            stream.next("hello")
            began = time.monotonic()
            program.process.send_signal(signal.SIGTERM)
            program.wait_notified("STOPPING=1")
            assert program.process.wait(60) == 0
            assert time.monotonic() - began < 20  # 2 s where nothing else runs
        assert not list(program.scratch.iterdir())  # what was kept without a [store]


def test_an_address_in_use_is_reported_before_anything_is_opened(tmp_path, model_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        file = tmp_path / "home.toml"
        port = other.getsockname()[1]
        file.write_text(HOME.format(model=model_path, port=port, more=""))
        soundfile.write(tmp_path / "barks.wav", bursts([], 1.0), RATE)
        run = subprocess.run(
            [sys.executable, "-m", "streamsed", "serve", file],
            capture_output=True, text=True, env=ENVIRONMENT, check=False, timeout=60,
        )  # fmt: skip
    assert run.returncode == 2
    assert "cannot be used" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.skipif(not find_browser(), reason="needs chromium or Chrome")
def test_a_browser_shows_what_the_program_detects_while_it_detects(
    tmp_path, model_path
):
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    with Program(tmp_path, model_path) as program, api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_browser(), args=["--no-sandbox"]
        )
        with contextlib.closing(browser):
            page = browser.new_page()
            page.set_default_timeout(60_000)
            complaints = []
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto(f"http://127.0.0.1:{program.port}/")
            page.wait_for_selector(".card[data-name=kitchen][data-state=running]")
            page.wait_for_selector(".card[data-name=attic]:not([data-state=running])")
            page.wait_for_selector(".now b:text-is('Dog')")
            page.wait_for_selector(".card[data-name=kitchen] .lanes .active")
            page.click(".event[data-state=closed] .what:text-is('Dog')")
            image = page.wait_for_selector("figure img")
            wait_for(lambda: image.evaluate("(i) => i.naturalWidth") > 20)
        assert complaints == []


def test_without_the_packages_of_the_page_the_remedy_is_reported(tmp_path, model_path):
    file = tmp_path / "home.toml"
    file.write_text(HOME.format(model=model_path, port=0, more=""))
    soundfile.write(tmp_path / "barks.wav", bursts([], 1.0), RATE)
    run = subprocess.run(
        [sys.executable, "-m", "streamsed", "serve", file],
        capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path,
        env=without("starlette"),
    )  # fmt: skip
    assert run.returncode == 2
    assert "[page]" in run.stderr
    assert "pip install" in run.stderr
    assert "Traceback" not in run.stderr
