"""How this copy was installed, so that hints give a command that works here."""

from __future__ import annotations

import json
import shlex
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

NAME = "streamsed"


def install_command(extra: str) -> str:
    """Return the command that installs an optional dependency of this copy.

    Parameters
    ----------
    extra : str
        A group of optional dependencies in `pyproject.toml`, such as "torch".

    Returns
    -------
    str
        A shell command: `pip install '.[torch]'` in the clone that this copy was installed
        from, with the clone's path in another folder, or with the URL it came from.
    """
    origin = _origin()
    address = str(origin.get("url", ""))
    if not address:
        return f"pip install {shlex.quote(f'{NAME}[{extra}]')}"
    if not address.startswith("file:") or "vcs_info" in origin:
        vcs = origin.get("vcs_info", {})
        scheme = f"{vcs['vcs']}+" if vcs else ""
        revision = f"@{vcs['commit_id']}" if vcs else ""
        requirement = f"{NAME}[{extra}] @ {scheme}{address}{revision}"
        return f"pip install {shlex.quote(requirement)}"
    path = Path(unquote(urlsplit(address).path))
    place = "." if path == Path.cwd() else str(path)
    flag = "-e " if origin.get("dir_info", {}).get("editable") else ""
    return f"pip install {flag}{shlex.quote(f'{place}[{extra}]')}"


def _origin() -> dict[str, Any]:
    """Return the installer's record of where this copy came from (PEP 610)."""
    try:
        noted = distribution(NAME).read_text("direct_url.json")
    except PackageNotFoundError:
        return {}
    return dict(json.loads(noted)) if noted else {}
