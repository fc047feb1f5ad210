"""Pictures of the page for the documentation, of `streamsed serve` as it is started.

    python -m scripts.page_pictures docs

Two sources play the example scene, one of them from its middle; the program detects what is
in it. The weeks before are made up, for the history to show. Needs Debian's chromium.
"""

from __future__ import annotations

import argparse
import io
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from streamsed.serve.store.sink import StoreSink

SCENE = Path(__file__).parents[1] / "examples" / "scene.flac"
LISTENED = 47.0
"""Seconds that the program listens before the pictures are taken."""
DAYS = 28
HABITS = {
    ("kitchen", "Dishes"): {8: 3.0, 13: 4.0, 19: 5.0},
    ("kitchen", "Running_water"): {7: 2.0, 8: 2.0, 13: 3.0, 19: 3.0, 22: 1.0},
    ("kitchen", "Frying"): {12: 1.0, 18: 1.5},
    ("kitchen", "Speech"): {8: 5.0, 13: 6.0, 18: 6.0, 19: 8.0},
    ("hall", "Alarm_bell_ringing"): {9: 0.3, 11: 0.4, 16: 0.4},
    ("hall", "Dog"): {7: 1.5, 9: 1.0, 12: 0.7, 16: 2.0, 22: 0.8},
    ("hall", "Speech"): {7: 2.0, 17: 2.5, 18: 2.0},
    ("hall", "Vacuum_cleaner"): {10: 0.3},
}
"""Events an hour, made up, by source and label and the hour of the day."""
SETTINGS = """
[[source]]
name = "kitchen"
url = "kitchen.wav"
loop = true

[[source]]
name = "hall"
url = "hall.wav"
loop = true

[store]
path = "home.sqlite"

[clips]
path = "clips"

[page]
address = "127.0.0.1:{port}"
"""


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("chromium is not found: apt install chromium")
    with served() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"]
        )
        for name, options, take in VIEWS:
            save(browser, address, folder / f"page-{name}.webp", options, take)
        browser.close()


@contextmanager
def served() -> Iterator[str]:
    """Run the program until enough was detected, and give the page's address."""
    with tempfile.TemporaryDirectory() as name, socket.socket() as probe:
        folder = Path(name)
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        make_up_history(folder / "home.sqlite")
        scene, rate = soundfile.read(SCENE, dtype="float32")
        noise = np.random.default_rng(0).normal(0, 4e-4, len(scene)).astype(np.float32)
        soundfile.write(folder / "kitchen.wav", scene + noise, rate)
        later = np.roll(scene, len(scene) // 2) * 0.6
        soundfile.write(folder / "hall.wav", later + noise[::-1], rate)
        (folder / "home.toml").write_text(SETTINGS.format(port=port))
        program = subprocess.Popen(
            [sys.executable, "-m", "streamsed", "serve", "home.toml"], cwd=folder
        )
        try:
            address = f"http://127.0.0.1:{port}/"
            wait_for(address)
            time.sleep(LISTENED)
            yield address
        finally:
            program.terminate()
            program.wait()


def wait_for(address: str) -> None:
    """Wait until sound flows."""
    for _ in range(300):
        try:
            urllib.request.urlopen(f"{address}healthz", timeout=5).close()
            return
        except OSError:
            time.sleep(0.2)
    sys.exit("the page does not answer")


def make_up_history(path: Path) -> None:
    """Fill a store with the weeks before today."""
    sink = StoreSink(path)
    chance = random.Random(7)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    number = 0
    for day in range(DAYS + 1):
        start = today - timedelta(days=DAYS - day)
        for hour in range(24):
            moment = start + timedelta(hours=hour)
            if moment + timedelta(hours=1) > datetime.now(UTC):
                break
            for source in ("kitchen", "hall"):
                run = {"source": source, "run": f"{day:04x}{hour:02x}"}
                for (where, label), hours in HABITS.items():
                    mean = hours.get(hour, 0.02) if where == source else 0.0
                    for _ in range(int(chance.expovariate(1 / mean)) if mean else 0):
                        number += 1
                        onset = moment + timedelta(seconds=chance.uniform(0, 3500))
                        seconds = chance.uniform(0.5, 8)
                        sink.on_record(
                            record("closed", onset, id=number, label=label, onset=1.0,
                                   offset=1.0 + seconds, at=20.0,
                                   score=chance.uniform(0.6, 0.99), **run),
                            None,
                        )  # fmt: skip
                end = moment + timedelta(minutes=59)
                sink.on_record(
                    record("status", end, at=3540.0, heard=chance.uniform(3300, 3540),
                           lost=1.0, **run),
                    None,
                )  # fmt: skip
        sink.writer.wait_until_written(60)
    sink.close()


def record(state: str, time: datetime, **more: Any) -> dict[str, Any]:
    """Return a record as the service gives it to its outputs."""
    return {"state": state, "time": time.isoformat(timespec="milliseconds"), **more}


def save(
    browser: Browser, address: str, path: Path, options: dict[str, Any], take: Any
) -> None:
    """Take one picture."""
    context = browser.new_context(locale="en-GB", **options)
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector(".event")
    page.wait_for_timeout(3000)
    take(page)
    page.wait_for_timeout(1500)
    Image.open(io.BytesIO(page.screenshot())).save(path, quality=82, method=6)
    print(f"{path}: {path.stat().st_size // 1000} kB")
    context.close()


def live(_: Page) -> None:
    """Show what the page shows first."""


def wall(page: Page) -> None:
    """Show nothing but the pictures."""
    page.evaluate("document.documentElement.requestFullscreen = undefined")
    page.click("text=Wall view")


def history(page: Page) -> None:
    """Show the last week."""
    page.click("nav >> text=History")
    page.click("text=7 days")


TABLET: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844}, "device_scale_factor": 2,
    "is_mobile": True, "has_touch": True,
}  # fmt: skip
VIEWS = [
    ("wall", TABLET | {"color_scheme": "dark"}, wall),
    ("phone", PHONE | {"color_scheme": "light"}, live),
    ("history", TABLET | {"color_scheme": "light"}, history),
]


if __name__ == "__main__":
    main()
