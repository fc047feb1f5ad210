"""Make a release: one version in every place, and its part of the changelog.

``python -m scripts.release 0.2.0`` dates what is unreleased in CHANGELOG.md, links it, and writes
the version where it stands: `streamsed/__init__.py`, which the build reads, and CITATION.cff.
``python -m scripts.release --notes v0.2.0`` checks that a tag is of this version and prints
its part of the changelog; the release workflow begins with it.
"""

import re
import sys
from argparse import ArgumentParser
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parent.parent
EMPTY = "## [Unreleased]\n\n"
# Relative to where the changelog is shown: the project may be kept anywhere.
COMPARE, TAG = "../../compare", "../../releases/tag"


def version_of(root: Path) -> str:
    """Return the version that the package states."""
    text = (root / "streamsed" / "__init__.py").read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "(.+)"$', text, flags=re.MULTILINE)
    if match is None:
        raise ValueError("streamsed/__init__.py must state __version__")
    return match[1]


def part_of(changelog: str, name: str) -> str:
    """Return what stands under a heading of the changelog."""
    heading = rf"^## \[{re.escape(name)}\][^\n]*\n(.*?)(?=^## \[|^\[|\Z)"
    match = re.search(heading, changelog, flags=re.MULTILINE | re.DOTALL)
    if match is None or not match[1].strip():
        raise ValueError(f"CHANGELOG.md has nothing under [{name}]")
    return match[1].strip() + "\n"


def released(changelog: str, version: str, day: str) -> str:
    """Return the changelog with what is unreleased as that version's, linked."""
    part_of(changelog, "Unreleased")
    older = re.findall(r"^## \[(\d[^\]]*)\]", changelog, flags=re.MULTILINE)
    if version in older:
        raise ValueError(f"{version} is released already, says CHANGELOG.md")
    changelog = changelog.replace(EMPTY, f"{EMPTY}## [{version}] - {day}\n\n", 1)
    own = f"{COMPARE}/v{older[0]}...v{version}" if older else f"{TAG}/v{version}"
    links = f"[Unreleased]: {COMPARE}/v{version}...HEAD\n[{version}]: {own}\n"
    return re.sub(r"^\[Unreleased\]: .*\n", links, changelog, flags=re.MULTILINE)


def release(root: Path, version: str, day: str) -> None:
    """Write a version and its day into all files that name them."""
    if not re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", version):
        raise ValueError(f"{version} must be like 0.2.0 or 0.2.0rc1")
    changelog = root / "CHANGELOG.md"
    text = released(changelog.read_text(encoding="utf-8"), version, day)
    package, citation = root / "streamsed" / "__init__.py", root / "CITATION.cff"
    stated = f'__version__ = "{version_of(root)}"'
    source = package.read_text(encoding="utf-8")
    source = source.replace(stated, f'__version__ = "{version}"')
    cited = re.sub(
        r"^version: .*\n(date-released: .*\n)?",
        f"version: {version}\ndate-released: {day}\n",
        citation.read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    for path, new in ((changelog, text), (package, source), (citation, cited)):
        path.write_text(new, encoding="utf-8")


def notes(root: Path, tag: str) -> str:
    """Return the changelog's part of a tag, which must be of the package's version."""
    if tag != f"v{version_of(root)}":
        raise ValueError(f"the tag {tag} must be v{version_of(root)}")
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    return part_of(text, tag.removeprefix("v"))


def main() -> int:
    """Write a version, or print a tag's notes."""
    parser = ArgumentParser(description=__doc__)
    chosen = parser.add_mutually_exclusive_group(required=True)
    chosen.add_argument("version", nargs="?", help="the version to release")
    chosen.add_argument("--notes", metavar="TAG", help="print the notes of a tag")
    arguments = parser.parse_args()
    try:
        if arguments.notes:
            print(notes(ROOT, arguments.notes), end="")
            return 0
        release(ROOT, arguments.version, f"{datetime.now(UTC):%Y-%m-%d}")
    except ValueError as error:
        print(f"release: {error}", file=sys.stderr)
        return 2
    tag = f"v{arguments.version}"
    print(f"git commit -am 'Release {arguments.version}' && git tag -a {tag} -m {tag}")
    print(f"git push origin HEAD {tag}   # builds and publishes the wheels")
    return 0


if __name__ == "__main__":
    sys.exit(main())
