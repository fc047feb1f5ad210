"""Run the benchmarks and write RESULTS.md, headed by the machine they ran on.

    python -m benchmarks [PART ...]

With names of parts (`program`, `live`, ...), only their sections are measured and replaced.
"""

import argparse
import os
import platform
from importlib.metadata import version
from itertools import chain
from pathlib import Path

import numpy as np
import torch

from benchmarks import corpus, engines, frontend, live, program, scoring, sources
from streamsed import _core

PARTS = {
    each.__name__.rpartition(".")[2]: each
    for each in (frontend, program, corpus, live, sources, engines, scoring)
}
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

Written by `make bench`; a section may be measured again by itself. Within a section peers run
in turns with ours; medians.

| | |
|---|---|
| processor | {processor()}, {os.cpu_count()} cores; instruction sets used: {targets} |
| load before the run | {os.getloadavg()[0]:.2f} |
| system | {platform.system()} {platform.release()}, Python {platform.python_version()} |
| packages | numpy {np.__version__}, torch {torch.__version__}, \
openvino {version("openvino")}, onnxruntime {version("onnxruntime")} |
"""


def replaced(text: str, section: str) -> str:
    """Return results in which a section stands in place of that with the same heading."""
    heading, _, _ = section.partition("\n")
    before, found, after = text.partition(f"{heading}\n")
    if not found:
        return f"{text}\n{section}\n"
    _, following, rest = after.partition("\n## ")
    return f"{before}{section}\n{following}{rest}"


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    names = parser.parse_args().parts
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        parser.error(f"{unknown[0]}: no such part; the parts are {', '.join(PARTS)}")
    text = RESULTS.read_text(encoding="utf-8") if names else header()
    for section in chain(*(PARTS[name].sections() for name in names or PARTS)):
        print(section, flush=True)
        text = replaced(text, section.strip())
    if not names:
        _, _, long_runs = RESULTS.read_text(encoding="utf-8").partition(LONG_RUNS)
        text = f"{text}\n{LONG_RUNS}{long_runs}"
    RESULTS.write_text(text, encoding="utf-8")
    print(f"written to {RESULTS}")


if __name__ == "__main__":
    main()
