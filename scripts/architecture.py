"""Draw the folders of `docs/architecture.md` from the ladder of imports in pyproject.toml.

``python -m scripts.architecture`` updates the diagrams; a test compares them.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "architecture.md"
CONTRACTS = {
    "streamsed": "The runtime is a ladder of folders",
    "train": "Training is a ladder of folders",
}


def layers(package: str) -> list[list[str]]:
    """Return the ladder of a package, the top first: the names on each step."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = (
        each
        for each in settings["tool"]["importlinter"]["contracts"]
        if each["name"] == CONTRACTS[package]
    )
    return [
        [name.strip().removeprefix(f"{package}.") for name in re.split("[|:]", layer)]
        for layer in contract["layers"]
    ]


def label(package: str, name: str) -> str:
    """Return a name with a slash where it is a folder."""
    return name + "/" * (ROOT / package / name).is_dir()


def picture(package: str) -> str:
    """Return the Mermaid text of a package's folders, from the top downwards."""
    lines = ["flowchart TD"]
    steps = layers(package)
    for number, names in enumerate(steps):
        shown = "   ".join(label(package, name) for name in names[:6])
        shown += "<br/>" + "   ".join(names[6:]) if len(names) > 6 else ""
        lines.append(f'    step{number}["{shown}"]')
    lines += [f"    step{n} --> step{n + 1}" for n in range(len(steps) - 1)]
    return "\n".join(lines) + "\n"


def drawn(page: str) -> str:
    """Return the page with updated diagrams of the folders."""
    for package in CONTRACTS:
        heading = rf"(### [^\n]*`{package}/`\n\n```mermaid\n).*?(?=```)"
        page, n = re.subn(heading, rf"\1{picture(package)}", page, flags=re.DOTALL)
        if n != 1:
            raise ValueError(f"{PAGE.name} must have one picture of {package}/: {n}")
    return page


def main() -> int:
    """Write the page."""
    PAGE.write_text(drawn(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
