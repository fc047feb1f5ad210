"""Run one target under Atheris: `python tests/fuzz/fuzz.py NAME [libFuzzer's arguments]`.

Without a name it lists the targets.
"""

import sys
from pathlib import Path

import atheris

import streamsed._core  # noqa: F401  # found by the editable install's own finder

# What that finder loads, Atheris cannot instrument.
sys.meta_path = [
    finder for finder in sys.meta_path if "ScikitBuild" not in type(finder).__name__
]
with atheris.instrument_imports(include=["streamsed", "train"]):
    import fuzz_targets


def main() -> None:
    if len(sys.argv) < 2:
        print(*fuzz_targets.TARGETS, sep="\n")
        return
    name, *arguments = sys.argv[1:]
    target = fuzz_targets.TARGETS[name]
    # One file that is rewritten each time, in memory where there is such a folder.
    memory = Path("/dev/shm")
    folder = memory if memory.is_dir() else Path("build/fuzz")
    path = folder / f"streamsed-{name}{target.suffix}"

    def test_one(data: bytes) -> None:
        path.write_bytes(data)
        target.check(path)

    atheris.Setup([sys.argv[0], *arguments], test_one)
    try:
        atheris.Fuzz()
    finally:
        path.unlink(missing_ok=True)


main()
