"""Run all benchmarks and write RESULTS.md, headed by the machine they ran on."""

import os
import platform
from importlib.metadata import version
from itertools import chain
from pathlib import Path

import numpy as np
import torch

from benchmarks import corpus, engines, frontend, live, program, scoring, sources
from streamsed import _core

PARTS = (frontend, program, corpus, live, sources, engines, scoring)
RESULTS = Path(__file__).parent / "RESULTS.md"
LONG_RUNS = "## A day and a night\n"
"""What stands from here on takes hours, is run by itself and stays."""


def processor() -> str:
    """Return the processor's name as the system gives it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor()


def header() -> str:
    targets = ", ".join(_core.simd_targets())
    return f"""# Results

Written by `make bench`. One run; peers in turns with ours; medians.

| | |
|---|---|
| processor | {processor()}, {os.cpu_count()} cores; instruction sets used: {targets} |
| load before the run | {os.getloadavg()[0]:.2f} |
| system | {platform.system()} {platform.release()}, Python {platform.python_version()} |
| packages | numpy {np.__version__}, torch {torch.__version__}, \
openvino {version("openvino")}, onnxruntime {version("onnxruntime")} |
"""


def main() -> None:
    text = header()
    for section in chain(*(each.sections() for each in PARTS)):
        print(section, flush=True)
        text += f"\n{section.strip()}\n"
    _, _, long_runs = RESULTS.read_text(encoding="utf-8").partition(LONG_RUNS)
    RESULTS.write_text(f"{text}\n{LONG_RUNS}{long_runs}", encoding="utf-8")
    print(f"written to {RESULTS}")


if __name__ == "__main__":
    main()
