"""Do a job of many commands, minutes at a time: `python3 -m scripts.job SETTINGS.toml`.

The stages run one after the other; a stage that is done is not done again, and one that
training interrupts continues from its checkpoint. After `limit` seconds the command in
progress is interrupted and the exit code is 75: the same line continues. The standard
library is enough for this file, because its first stage makes the rest importable.

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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
AGAIN = 75
"""Exit code: time is up, and the same command continues (sysexits' EX_TEMPFAIL)."""
ONCE = ("speed",)
"""Stages that cannot be resumed; what they wrote in their time is kept."""
GRACE = 20.0
"""Seconds for an interrupted command to end before it is killed."""
GPU_TESTS = (
    "tests/train/fit/test_cuda.py",
    "tests/streamsed/inference/test_model.py",
    "tests/train/networks/test_crnn.py",
)
RESULTS = (
    *("*.log", "*.md", "table1/*.md", "table1/*.json", "table1/*.png"),
    "table1/events/*/*.tsv",
)
CURVES = ("log.csv", "validation.csv")
LARGEST = 16_000_000
"""Bytes of a file to take home."""


def stages(settings: Mapping[str, Any], out: Path) -> dict[str, list[str]]:
    """Say what to run, in its order: name of the stage to arguments of Python.

    Parameters
    ----------
    settings : mapping
        Of scripts/accelerator.toml's form.
    out : Path
        Where everything goes.
    """
    device, workers = settings["device"], str(settings["workers"])
    table = out / "table1"
    sounds = [f"--soundbank={settings['banks'][0]}", "--lists=lists"]
    sizes = [f"--{name}={n}" for name, n in settings["data"].items()]
    plan = {
        "build": ["scripts.build"],
        "tests": ["pytest", "-m", "gpu", "-p", "no:cacheprovider", *GPU_TESTS],
        "speed": ["benchmarks.cuda", f"--device={device}", f"--output={out}/cuda.md"],
        **{
            f"fit-{name}": _fit(settings, fit, out / name)
            for name, fit in settings["fit"].items()
        },
        "data": [
            *("train", "data", "imitate", str(table / "data"), *sounds),
            *(f"--workers={workers}", *sizes),
        ],
        "table1": [
            *("train", "table1", f"--run={table}", *sounds),  # finds the data there
            *(f"--device={device}", f"--workers={workers}", "--save-every=30"),
            *_sets("--set", settings["table1"]["set"]),
            *_sets("--set-baseline", settings["table1"]["set_baseline"]),
        ],
        "weights": [
            *("scripts.parts", "split", str(out / "results")),
            *(
                str(out / each)
                for each in settings["take_home"]
                if (out / each).is_dir()
            ),
        ],
    }
    plan["speed"] += settings["speed"]["options"]
    left_out = settings.get("leave_out", [])
    return {name: each for name, each in plan.items() if name not in left_out}


def _fit(settings: Mapping[str, Any], fit: Mapping[str, Any], run: Path) -> list[str]:
    """Say how one network is trained, from where it was interrupted if it was."""
    arguments = ["train", "fit", f"--run={run}", f"--preset={fit['preset']}"]
    arguments += [f"--soundbank={each}" for each in settings["banks"]]
    arguments += [f"--blueprint=lists/{each}" for each in fit["lists"]]
    arguments += _sets("--set", fit["set"])
    arguments += [f"--device={settings['device']}", f"--workers={settings['workers']}"]
    arguments += ["--save-every=30", *fit.get("options", [])]
    if (run / "last.pt").is_file():
        return [*arguments, "--resume"]
    return arguments + [f"--init={each}" for each in (fit.get("init"),) if each]


def _sets(option: str, lines: list[str]) -> list[str]:
    return [f"{option}={line}" for line in lines]


def run_stage(name: str, arguments: list[str], out: Path, seconds: float) -> int:
    """Run one stage for so many seconds at most; return its exit code, or `AGAIN`."""
    environment = dict(os.environ)
    paths = [str(ROOT), str(ROOT / "site"), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(each for each in paths if each)
    environment["PYTHONUNBUFFERED"] = "1"
    with (out / f"{name}.log").open("a", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env=environment,
            start_new_session=True,
        )
        try:
            return process.wait(max(seconds, 1.0))
        except subprocess.TimeoutExpired:
            _end(process)
            return AGAIN


def _end(process: subprocess.Popen[bytes]) -> None:
    """Interrupt a command and its workers, and kill what does not end."""
    for number in (signal.SIGINT, signal.SIGKILL):
        os.killpg(process.pid, number)
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            continue
        return


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


def do_job(settings: Mapping[str, Any], out: Path, *, only: str | None = None) -> int:
    """Run the remaining stages until time is up, or one stage; return the exit code.

    Raises
    ------
    ValueError
        There is no such stage.
    """
    plan = stages(settings, out)
    if only is not None:
        if only not in plan:
            raise ValueError(f"--only {only} must be one of {', '.join(plan)}")
        plan = {only: plan[only]}
    begun = time.monotonic()
    (out / "done").mkdir(parents=True, exist_ok=True)
    code = 0
    for name, arguments in plan.items():
        if only is None and (out / "done" / name).is_file():
            continue
        left = settings["limit"] - (time.monotonic() - begun)
        started = time.monotonic()
        code = run_stage(name, arguments, out, left) if left > GRACE else AGAIN
        line = f"{name}: exit code {code} after {time.monotonic() - started:.1f} s"
        print(line, flush=True)
        with (out / "job.log").open("a", encoding="utf-8") as log:
            log.write(f"{line}: python -m {' '.join(arguments)}\n")
        if code == AGAIN and name in ONCE and left > settings["limit"] / 2:
            (out / "done" / name).touch()  # else it would begin again and again
        if code:
            break
        (out / "done" / name).touch()
    files = take_home(out)
    size = sum(path.stat().st_size for path in files)
    print(f"{out / 'results'}: {len(files)} files, {size / 1e6:.1f} MB")
    if code == AGAIN:
        print("time is up: run the same command to continue")
    elif code:
        print(f"{name} failed: see {out / name}.log; the same command tries again")
    return code


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
