"""Which modules a package has, in all its folders."""

import pkgutil
from pathlib import Path


def modules_of(package):
    """Return the names of a package's modules and subpackages, `__main__` left out.

    A walk that misses a folder would leave tests passing on next to nothing, so it must
    see as many modules as there are files.
    """
    folder = Path(package.__file__).parent
    found = [
        module.name
        for module in pkgutil.walk_packages([str(folder)], f"{package.__name__}.")
        if not module.name.endswith(("__main__", "_core"))
    ]
    files = [
        path
        for path in folder.rglob("*.py")
        if path not in (folder / "__init__.py", folder / "__main__.py")
    ]
    assert len(found) == len(files)
    return found
