"""The site's pages that lie elsewhere in the project: a hook of `mkdocs.yml`."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
PAGES = {
    "benchmarks.md": "benchmarks/RESULTS.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
}
"""A page of the site: the file that it shows."""


def as_page(text: str) -> str:
    """Return Markdown whose links to other pages hold in the site, and no others."""

    def link(match: re.Match[str]) -> str:
        text, target = match.groups()
        if target.startswith(("http", "#")):
            return match[0]
        if target.startswith("docs/"):
            return f"[{text}]({target.removeprefix('docs/')})"
        homes = {home: page for page, home in PAGES.items()}
        return f"[{text}]({homes[target]})" if target in homes else text

    text = re.sub(r"\[([^\]]+)\]\(([^)]+)\)", link, text)
    # Links by version are of the place where the project is kept.
    return re.sub(r"^\[[^\]]+\]: \.\./.*\n", "", text, flags=re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    for page, home in PAGES.items():
        text = (ROOT / home).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=as_page(text)))
    return files
