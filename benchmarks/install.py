"""What each way to install takes, measured in fresh environments.

``python -m benchmarks.install`` installs this copy with each extra that a user may take, with
pip as it is configured here, and prints the table; ``--write`` puts it into docs/install.md.
The light install must stay under `LIMIT` and run without torch; else the exit code is 1.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "install.md"
SCENE = ROOT / "examples" / "scene.flac"
LIGHT = "."
WAYS = (LIGHT, ".[plot]", ".[torch]", ".[train]")
LIMIT = 450.0
"""MB that the light install may take."""
BEGIN, END = "<!-- sizes -->\n", "<!-- end of sizes -->\n"
PURELIB = "import sysconfig; print(sysconfig.get_path('purelib'))"
LOADED = """
import contextlib, io, sys
from streamsed.cli.app import main
sys.argv[1:] = ["file", {scene!r}]
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()) as out:
    main()
sys.exit("torch" in sys.modules or "Dog" not in out.getvalue())
"""


class Installed(NamedTuple):
    """A way to install, measured."""

    way: str
    megabytes: float
    n_packages: int
    engine: str


def measure(way: str, folder: Path) -> Installed:
    """Install in a fresh environment below `folder` and say what that took."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    packages = Path(subprocess.check_output([python, "-c", PURELIB], text=True).strip())
    bare, n_bare = size(packages), count(packages)
    install = [
        str(python),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    target = str(ROOT) + way.removeprefix(".")
    subprocess.run([*install, target], check=True, cwd=folder)
    taken = size(packages) - bare  # before a program leaves files of its own
    asked = [str(python), "-m", "streamsed", "info", "--json"]
    chosen = json.loads(subprocess.check_output(asked, text=True, cwd=folder))["engine"]
    if way == LIGHT:
        code = LOADED.format(scene=str(SCENE))
        subprocess.run([python, "-c", code], check=True, cwd=folder)
    engine = f"{chosen['name']} {chosen['precision']}"
    return Installed(way, taken / 1e6, count(packages) - n_bare, engine)


def size(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(
        (Path(parent) / name).lstat().st_size
        for parent, _, names in os.walk(folder)
        for name in names
    )


def count(folder: Path) -> int:
    """Return how many distributions are installed in a folder."""
    return len(list(folder.glob("*.dist-info")))


def table(rows: list[Installed]) -> str:
    """Lay out the rows as Markdown, with where they were measured."""
    where = f"{platform.system()}, {platform.machine()}, Python "
    where += ".".join(platform.python_version_tuple()[:2])
    lines = [f"| `pip install` ({where}) | MB | packages | engine |"]
    lines.append("|---|---:|---:|---|")
    lines += [
        f"| `'{each.way}'` | {each.megabytes:.0f} | {each.n_packages} | {each.engine} |"
        for each in rows
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure the ways named, or all of them."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("ways", nargs="*", default=WAYS, metavar="WAY")
    parser.add_argument("--write", action="store_true", help=f"update {PAGE.name}")
    arguments = parser.parse_args()
    rows = []
    for way in arguments.ways:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure(way, Path(folder) / "env"))
    text = table(rows)
    print(text, end="")
    if arguments.write:
        page = PAGE.read_text(encoding="utf-8")
        head, _, rest = page.partition(BEGIN)
        _, _, tail = rest.partition(END)
        PAGE.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}", encoding="utf-8")
    too_much = [r for r in rows if r.way == LIGHT and r.megabytes > LIMIT]
    for row in too_much:
        print(f"{row.megabytes:.0f} MB must be at most {LIMIT:.0f}", file=sys.stderr)
    return len(too_much)


if __name__ == "__main__":
    sys.exit(main())
