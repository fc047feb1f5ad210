"""What the stages of a job run: names of processes, and arguments of Python."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
FIRST, LAST = "build", "weights"
"""What must not fail, and what is done again by each command."""
GPU_TESTS = (
    "tests/train/fit/test_cuda.py",
    "tests/streamsed/inference/test_model.py",
    "tests/train/networks/test_crnn.py",
)
Settings = Mapping[str, Any]
Commands = dict[str, list[str]]
"""Names of processes that run side by side, to arguments of Python."""


def commands(settings: Settings, stage: str, out: Path, seconds: float) -> Commands:
    """Return what a stage runs.

    Parameters
    ----------
    settings : mapping
        Of scripts/accelerator.toml's form.
    stage : str
        Its name.
    out : Path
        Where everything goes.
    seconds : float
        How long the stage may take; runs whose length is a time are made as long.

    Raises
    ------
    ValueError
        There is no such stage, or no fit of a name in `runs`.
    """
    if stage == "fit":
        fits = settings["fit"]
        if unknown := [name for name in settings["runs"] if name not in fits]:
            raise ValueError(
                f"runs={', '.join(unknown)} must be among the fits: {', '.join(fits)}"
            )
        return {
            f"fit-{name}": _fit(settings, fits[name], out / name, seconds)
            for name in settings["runs"]
        }
    plan = _plan(settings, out)
    if stage not in plan:
        raise ValueError(f"stage={stage} must be one of fit, {', '.join(plan)}")
    return {stage: plan[stage]} if plan[stage] else {}


def _plan(settings: Settings, out: Path) -> Commands:
    """Return the stages that are one process each; empty arguments run nothing."""
    device, workers = settings["device"], str(settings["workers"])
    table = out / "table1"
    sounds = [f"--soundbank={settings['banks'][0]}", "--lists=lists"]
    sizes = [f"--{name}={n}" for name, n in settings["data"].items()]
    runs = [str(out / each) for each in settings["runs"] if _begun(out / each)]
    return {
        FIRST: ["scripts.build"],
        "tests": ["pytest", "-m", "gpu", "-p", "no:cacheprovider", *GPU_TESTS],
        "speed": [
            *("benchmarks.cuda", f"--device={device}", f"--output={out}/cuda.md"),
            *settings["speed"]["options"],
        ],
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
        LAST: ["scripts.parts", "split", str(out / "results"), *runs] if runs else [],
    }


def _begun(run: Path) -> bool:
    return (run / "last.pt").is_file() or any(run.glob("best-*.pt"))


def _fit(settings: Settings, fit: Settings, run: Path, seconds: float) -> list[str]:
    """Return how one network is trained.

    It goes on where it was interrupted, or else begins with the weights that the settings
    name if they were carried, or else with random ones.
    """
    arguments = ["train", "fit", f"--run={run}", f"--preset={fit['preset']}"]
    arguments += [f"--soundbank={each}" for each in settings["banks"]]
    arguments += [f"--blueprint=lists/{each}" for each in fit["lists"]]
    arguments += _sets("--set", fit["set"])
    if not any(each.startswith("steps=") for each in fit["set"]):
        minutes = _trained(run) + max(seconds - settings["begin"], 1.0) / 60
        arguments += [f"--set=minutes={minutes:.2f}"]
    arguments += [f"--device={settings['device']}", f"--workers={fit['workers']}"]
    arguments += ["--save-every=30", *fit.get("options", [])]
    if (run / "last.pt").is_file():
        return [*arguments, "--resume"]
    if (ROOT / fit.get("init", "") / "last.pt").is_file():
        return [*arguments, f"--init={fit['init']}"]
    return arguments


def _trained(run: Path) -> float:
    """Read how many minutes a run has trained so far."""
    if not (run / "last.pt").is_file() or not (run / "log.csv").is_file():
        return 0.0
    with (run / "log.csv").open(newline="", encoding="utf-8") as file:
        return max((float(row["minutes"]) for row in csv.DictReader(file)), default=0.0)


def _sets(option: str, lines: list[str]) -> list[str]:
    return [f"{option}={line}" for line in lines]
