"""Run `streamsed serve` with a settings file.

SIGTERM or Ctrl-C closes open events and ends the program; a second one does not wait for
that. SIGHUP reloads the file, and reopens the log.
"""

from __future__ import annotations

import importlib.util
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from streamsed.live.summary import describe_failure
from streamsed.serve.outputs import missing_extra, output_faults
from streamsed.serve.service import Service
from streamsed.serve.settings import ServeSettings, SettingsError, read_serve_settings
from streamsed.serve.sources.ffmpeg import PROTOCOLS, REMEDY
from streamsed.serve.systemd import READY, STOPPING, Supervisor, reloading
from streamsed.terminal import counted, message_of, print_message

if TYPE_CHECKING:
    from streamsed.serve.page.opening import Page

LOOK_EVERY = 0.5
"""Maximum seconds between two checks for signals."""


PACKAGES = {
    "mqtt": ("paho",),
    "page": ("prometheus_client", "starlette", "uvicorn"),
}
"""Packages of the extra `serve` that each table of the settings needs."""


@dataclass(frozen=True, slots=True)
class ServeJob:
    """Detect events in the sources of a settings file until stopped.

    Parameters
    ----------
    path : Path
        TOML.
    """

    path: Path

    def check(self) -> int:
        """Print all mistakes and what is missing, and change nothing; return the exit code."""
        try:
            settings = read_serve_settings(self.path)
        except SettingsError as error:
            for mistake in error.mistakes:
                print_message(str(mistake))
            return 2
        for remark in remarks(settings):
            print_message(remark)
        faults, missing = output_faults(settings), missing_packages(settings)
        for sentence in faults + missing:
            print_message(sentence)
        if faults or missing:
            return 2 if faults else 1
        sources = counted(len(settings.sources), "source")
        print_message(f"{self.path}: all settings are valid ({sources})")
        return 0

    def run(self) -> int:
        """Run until stopped; return the exit code."""
        settings = read_serve_settings(self.path)
        for remark in remarks(settings):
            print_message(remark)
        service = Service(settings, print_message=print_message)
        supervisor = Supervisor(lambda: service.scheduler.n_visits)
        with _signals() as received, _shown(service) as page:
            service.start()
            try:
                print_message(
                    f"listening to {', '.join(s.name for s in settings.sources)}"
                )
                if page is not None:
                    page.start()
                    print_message(f"the page is at {page.address}")
                supervisor.notify(READY, f"STATUS={len(settings.sources)} sources")
                while (number := _next(received)) in (None, signal.SIGHUP):
                    supervisor.tick()
                    if number == signal.SIGHUP:
                        supervisor.notify(reloading())
                        self._reload(service, page)
                        supervisor.notify(READY)
            finally:
                supervisor.notify(STOPPING)
                service.stop()
        return 1 if self._lost_records(service) else 0

    def _lost_records(self, service: Service) -> bool:
        """Print which outputs lost records; return whether any did."""
        lost = {
            name: failure
            for name, failure in service.fan_out.failures().items()
            if any(failure.get(count) for count in ("lost", "waiting"))
        }
        for name, failure in lost.items():
            print_message(f"{name}: {describe_failure(failure)}")
        return bool(lost)

    def _reload(self, service: Service, page: Page | None) -> None:
        """Reload the file; keep the old settings if it has mistakes."""
        service.reopen_logs()
        try:
            settings = read_serve_settings(self.path)
            service.reload(settings)
        except SettingsError as error:
            for mistake in error.mistakes:
                print_message(f"{mistake}; the previous settings are kept")
        except (OSError, ValueError, ModuleNotFoundError) as error:
            print_message(f"{message_of(error)}; the previous settings are kept")
        else:
            if page is not None:
                page.show_settings(settings)
            print_message(f"{self.path}: settings reloaded")


def remarks(settings: ServeSettings) -> list[str]:
    """Return problems of a valid file on this machine."""
    found = []
    by_ffmpeg = [
        s.name for s in settings.sources if urlsplit(s.url).scheme in PROTOCOLS
    ]
    if by_ffmpeg and shutil.which("ffmpeg") is None:
        found.append(
            f"ffmpeg not found; it is needed for {', '.join(by_ffmpeg)}; {REMEDY}"
        )
    return found


def missing_packages(settings: ServeSettings) -> list[str]:
    """Return the tables that need missing packages, and how to install them."""
    return [
        str(missing_extra(f"[{table}]", ModuleNotFoundError(name=package)))
        for table, packages in PACKAGES.items()
        if getattr(settings, table) is not None
        for package in packages
        if importlib.util.find_spec(package) is None
    ]


@contextmanager
def _shown(service: Service) -> Iterator[Page | None]:
    """Open the page if the settings have one, and close it after the service."""
    settings = service.settings
    if settings.page is None:
        yield None
        return
    try:
        from streamsed.serve.page.opening import Page
    except ModuleNotFoundError as error:
        raise missing_extra("[page]", error) from error
    page = Page(
        settings,
        service,
        page=settings.page,
        failures=service.fan_out.failures,
        load=lambda: service.scheduler.load,
        engine=str(settings.model.engine.get("engine") or "auto"),
    )
    service.fan_out.replace([], page.sinks)
    try:
        yield page
    finally:
        page.stop()


@contextmanager
def _signals() -> Iterator[SimpleQueue[int]]:
    """Queue the signals to stop and to reload; a second one to stop interrupts.

    A signal may come while the lock of a `threading.Event` is held, and its handler would
    wait for that lock for ever; a simple queue takes it at any time.
    """
    received: SimpleQueue[int] = SimpleQueue()

    def on_stop(number: int, _frame: object) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, before[each])
        received.put(number)

    def on_hang_up(number: int, _frame: object) -> None:
        received.put(number)

    handlers = {
        signal.SIGINT: on_stop,
        signal.SIGTERM: on_stop,
        signal.SIGHUP: on_hang_up,
    }
    before = {
        number: signal.signal(number, handler) for number, handler in handlers.items()
    }
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _next(received: SimpleQueue[int]) -> int | None:
    """Wait for the next signal, not longer than `LOOK_EVERY`."""
    try:
        return received.get(timeout=LOOK_EVERY)
    except Empty:
        return None
