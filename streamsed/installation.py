"""How this copy of the program was installed, so that advice can be pasted into a shell."""

from __future__ import annotations

import json
import shlex
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

NAME = "streamsed"


def install_command(extra: str) -> str:
    """Return the command that adds an extra to this copy.

    Parameters
    ----------
    extra : str
        One of the optional dependencies in `pyproject.toml`, such as "torch".

    Returns
    -------
    str
        A line for a shell: `pip install '.[torch]'` in the clone that this copy was
        installed from, the clone's path elsewhere, its address if it came from one.
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
    """Return what the installer noted of where this copy came from (PEP 610)."""
    try:
        noted = distribution(NAME).read_text("direct_url.json")
    except PackageNotFoundError:
        return {}
    return dict(json.loads(noted)) if noted else {}
