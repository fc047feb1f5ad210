"""Do a job of many commands, minutes at a time: `python3 -m scripts.job SETTINGS.toml`.

The stages of the settings run one after the other, each for so many seconds at most; the runs
of stage `fit` train side by side. What is done is not done again, and a run that was
interrupted continues from its checkpoint. A stage that fails does not keep those after it from
running, but for `build`, which makes them importable. Stage `weights` has its seconds kept
back, so whatever happens before it, what was trained is there to take home. After `limit`
seconds the exit code is 75: the same line continues. The standard library is enough for this
file and for `scripts.job_plan`, which has what each stage runs.

    OUT/job.log, OUT/NAME.log      what ran, how long, and what it printed
    OUT/results/                   all there is to take home: notes.tar.gz, parts of weights
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tarfile
import time
import tomllib
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from scripts.job_plan import FIRST, LAST, ROOT, Commands, Settings, commands

AGAIN = 75
"""Exit code: time is up, and the same command continues (sysexits' EX_TEMPFAIL)."""
ONCE = ("speed", "tests")
"""Stages that cannot be resumed; what they wrote in their time is kept."""
GRACE = 20.0
"""Seconds for interrupted commands to end before they are killed."""
LEAST = 5.0
"""Seconds below which a stage is not begun."""
RESULTS = (
    *("*.log", "*.md", "table1/*.md", "table1/*.json", "table1/*.png"),
    "table1/events/*/*.tsv",
)
CURVES = ("log.csv", "validation.csv")
LARGEST = 16_000_000
"""Bytes of a file to take home."""


def run_stage(processes: Commands, out: Path, seconds: float) -> dict[str, int]:
    """Run processes side by side for so many seconds; return their exit codes, or `AGAIN`."""
    environment = dict(os.environ)
    paths = [str(ROOT), str(ROOT / "site"), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(each for each in paths if each)
    environment["PYTHONUNBUFFERED"] = "1"
    if len(processes) > 1:  # each has workers of its own, and the cores are shared
        environment["OMP_NUM_THREADS"] = "1"
    deadline = time.monotonic() + max(seconds, 1.0)
    with ExitStack() as files:
        running = {
            name: subprocess.Popen(
                [sys.executable, "-m", *arguments],
                stdout=files.enter_context((out / f"{name}.log").open("ab")),
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env=environment,
                start_new_session=True,
            )
            for name, arguments in processes.items()
        }
        ended = {
            name: _wait(process, deadline - time.monotonic())
            for name, process in running.items()
        }
        _end([each for name, each in running.items() if ended[name] is None])
    return {name: AGAIN if code is None else code for name, code in ended.items()}


def _wait(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    """Wait for a process to end; None if it does not in time."""
    try:
        return process.wait(max(seconds, 0.0))
    except subprocess.TimeoutExpired:
        return None


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Interrupt processes and their workers, all at once, and kill what does not end."""
    for number in (signal.SIGINT, signal.SIGKILL):
        left = [each for each in processes if each.poll() is None]
        for process in left:
            os.killpg(process.pid, number)
        deadline = time.monotonic() + GRACE
        for process in left:
            _wait(process, deadline - time.monotonic())


def take_home(out: Path) -> list[Path]:
    """Pack small results into one archive next to the parts of the weights."""
    results = out / "results"
    results.mkdir(exist_ok=True)
    found = [path for pattern in RESULTS for path in out.glob(pattern)]
    found += [path for name in CURVES for path in out.glob(f"**/{name}")]
    with tarfile.open(results / "notes.tar.gz", "w:gz") as archive:
        for path in found:
            if path.stat().st_size <= LARGEST:
                archive.add(path, path.relative_to(out).as_posix())
    return sorted(results.iterdir())


def do_stage(settings: Settings, stage: str, out: Path, left: float) -> dict[str, int]:
    """Run what of a stage is not done, and note what is; return the exit codes.

    Parameters
    ----------
    settings : mapping
        Of scripts/accelerator.toml's form.
    stage : str
        Its name.
    out : Path
        Where everything goes.
    left : float
        Seconds that remain.
    """
    seconds = min(settings["budget"].get(stage, left), left)
    processes = {
        name: arguments
        for name, arguments in commands(settings, stage, out, seconds).items()
        if not (out / "done" / name).is_file()
    }
    if processes and seconds < LEAST:
        return dict.fromkeys(processes, AGAIN)
    for name, arguments in processes.items():
        begun = any(each.startswith(("--init=", "--resume")) for each in arguments)
        if stage == "fit" and not begun:
            _note(out, f"{name}: begins with random weights")
    started = time.monotonic()
    codes = run_stage(processes, out, seconds)
    for name, code in codes.items():
        line = f"{name}: exit code {code} after {time.monotonic() - started:.1f} s"
        _note(out, line, f": python -m {' '.join(processes[name])}")
        at_end = code == AGAIN and name in ONCE and seconds < left  # of its own time
        if (code == 0 or at_end) and stage != LAST:
            (out / "done" / name).touch()
    return codes


def _note(out: Path, line: str, more: str = "") -> None:
    """Print a line, and write it to the job's log with what belongs to it."""
    print(line, flush=True)
    with (out / "job.log").open("a", encoding="utf-8") as log:
        log.write(f"{line}{more}\n")


def do_job(settings: Settings, out: Path, *, only: str | None = None) -> int:
    """Run the stages until time is up, or one stage again; return the exit code.

    Raises
    ------
    ValueError
        There is no such stage.
    """
    names = settings["stages"] if only is None else [only]
    (out / "done").mkdir(parents=True, exist_ok=True)
    if only is not None:
        for name in commands(settings, only, out, 0.0):
            (out / "done" / name).unlink(missing_ok=True)
    begun = time.monotonic()
    codes: dict[str, int] = {}
    for i, stage in enumerate(names):
        kept = settings["budget"].get(LAST, 0.0) if LAST in names[i + 1 :] else 0.0
        left = settings["limit"] - kept - (time.monotonic() - begun)
        if stage == LAST:  # its seconds were kept, though others took long to end
            left = max(left, settings["budget"].get(LAST, 0.0))
        codes |= do_stage(settings, stage, out, left)
        if stage == FIRST and any(codes.values()):
            break
    files = take_home(out)
    size = sum(path.stat().st_size for path in files)
    print(f"{out / 'results'}: {len(files)} files, {size / 1e6:.1f} MB")
    failed = {name: code for name, code in codes.items() if code not in (0, AGAIN)}
    for name in failed:
        print(f"{name} failed: see {out / name}.log; the same command tries again")
    if AGAIN in codes.values():
        print("time is up: run the same command to continue")
        return AGAIN
    return next(iter(failed.values()), 0)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser("python3 -m scripts.job")
    parser.add_argument("settings", type=Path, metavar="SETTINGS.toml")
    parser.add_argument("--out", type=Path, default=ROOT / "out", metavar="DIR")
    parser.add_argument("--only", metavar="STAGE", help="this one, done or not")
    options = parser.parse_args()
    try:
        settings = tomllib.loads(options.settings.read_text(encoding="utf-8"))
        sys.exit(do_job(settings, options.out.resolve(), only=options.only))
    except (OSError, ValueError) as error:
        print(f"job: error: {error}", file=sys.stderr)
    except KeyError as error:
        print(f"job: error: {options.settings} must set {error}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
