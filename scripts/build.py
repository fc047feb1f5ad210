"""Make an unpacked archive run: `python3 -m scripts.build`, with the standard library alone.

Wheels of what the machine lacks are unpacked into `site`; the extension is compiled beside
its stub, by the compiler directly, because CMake and scikit-build-core may be missing. The
sources and flags are those of CMakeLists.txt. Should that fail, an extension that the archive
carries is taken.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

ROOT = Path(__file__).parent.parent
SITE = ROOT / "site"
PREBUILT = ROOT / "prebuilt"
"""Where an archive has an extension that was made elsewhere, for a compiler that fails."""
CORE = ("fft", "gap_filter", "log_mel", "mel", "simd")
FLAGS = ("-std=c++20", "-O3", "-DNDEBUG", "-fPIC", "-fvisibility=hidden")
LINK_FLAGS = ("-shared", *(("-l:libstdc++.so.6",) if sys.platform == "linux" else ()))
"""The shared C++ library is named: a compiler that links its own into each extension, as on
some machines, would put a second one beside torch's, and that crashes."""
KERNEL_FLAGS = ("-ffp-contract=fast", "-falign-functions=64")
KERNELS = {
    "baseline": ("-DSTREAMSED_LANES=4",),
    "avx2": ("-DSTREAMSED_LANES=8", "-mavx2", "-mfma", "-mtune=skylake"),
    "avx512": (
        "-DSTREAMSED_LANES=16",
        *("-mavx512f", "-mavx512dq", "-mavx512vl", "-mtune=skylake-avx512"),
    ),
}
"""Instruction set to what csrc/kernels/ is compiled with for it."""

_IMPORT = """
import importlib.util, sys, torch
spec = importlib.util.spec_from_file_location("_core", sys.argv[1])
spec.loader.exec_module(importlib.util.module_from_spec(spec))
"""


def unpack_wheels(folder: Path, site: Path) -> list[str]:
    """Unpack the wheels of distributions that are not installed; return their names."""
    unpacked = []
    for wheel in sorted(folder.glob("*.whl")):
        name = wheel.name.split("-")[0]
        if not is_installed(name):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(site)
            unpacked.append(name)
    return unpacked


def is_installed(name: str) -> bool:
    """Say whether this Python has a distribution, wherever it is."""
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def compile_commands(objects: Path, includes: list[Path]) -> dict[Path, list[str]]:
    """Say how each object file is made.

    Parameters
    ----------
    objects : Path
        Where object files go.
    includes : list of Path
        Folders of Python's and pybind11's headers.
    """
    on_x86 = platform.machine() in ("x86_64", "AMD64")
    extra = ["-DSTREAMSED_X86"] if on_x86 else []
    shared = [os.environ.get("CXX", "g++"), *FLAGS, *extra]
    headers = [f"-I{folder}" for folder in includes]
    commands = {
        objects / f"{name}.o": [*shared, f"csrc/{name}.cpp"] for name in CORE
    } | {objects / "bindings.o": [*shared, *headers, "csrc/bindings.cpp"]}
    for target, flags in KERNELS.items():
        if on_x86 or target == "baseline":
            commands[objects / f"{target}.o"] = [
                *(*shared, *KERNEL_FLAGS, f"-DSTREAMSED_TARGET={target}"),
                *(*flags, "csrc/kernels/kernels.cpp"),
            ]
    return commands


def header_folders() -> list[Path]:
    """Find Python's and pybind11's headers: the machine's, or those that were carried.

    Raises
    ------
    FileNotFoundError
        There are none.
    """
    found = []
    places: dict[str, list[Path]] = {
        "Python.h": [Path(sysconfig.get_path("include")), ROOT / "headers"],
        "pybind11/pybind11.h": [
            *(Path(each) / "pybind11" / "include" for each in [str(SITE), *sys.path]),
        ],
    }
    for header, folders in places.items():
        place = next((each for each in folders if (each / header).is_file()), None)
        if place is None:
            raise FileNotFoundError(
                f"{header} must be in one of {', '.join(map(str, folders))}: pack it "
                "with `scripts.pack --headers`, or install python3-dev and pybind11"
            )
        found.append(place)
    return found


def build_extension(extension: Path, includes: list[Path]) -> None:
    """Compile the extension.

    Parameters
    ----------
    extension : Path
        The file that is made.
    includes : list of Path
        Folders of Python's and pybind11's headers.
    """
    objects = ROOT / "build" / "objects"
    objects.mkdir(parents=True, exist_ok=True)
    commands = compile_commands(objects, includes)
    with ThreadPoolExecutor() as pool:
        jobs = [
            pool.submit(_run, [*command, "-c", "-o", str(target)])
            for target, command in commands.items()
        ]
        for job in jobs:
            job.result()
    draft = extension.with_suffix(".part")
    compiler = next(iter(commands.values()))[0]
    _run([compiler, "-o", str(draft), *map(str, commands), *LINK_FLAGS])
    draft.replace(extension)


def make_extension() -> Path:
    """Compile the extension into the package, or take the one that was carried.

    Raises
    ------
    ImportError
        Neither can be imported.
    FileNotFoundError
        There are no headers, and none was carried.
    subprocess.CalledProcessError
        It cannot be compiled, and none was carried.
    """
    name = f"_core{sysconfig.get_config_var('EXT_SUFFIX')}"
    extension, carried = ROOT / "streamsed" / name, PREBUILT / name
    try:
        build_extension(extension, header_folders())
        check_extension(extension)
    except (OSError, ImportError, subprocess.CalledProcessError) as error:
        if not carried.is_file():
            raise
        print(f"build: {error}; taking {carried}", file=sys.stderr)
        shutil.copyfile(carried, extension)
        check_extension(extension)
    return extension


def check_extension(extension: Path) -> None:
    """Import the extension in a process of its own, beside torch as training does.

    Raises
    ------
    ImportError
        It cannot be imported, or ends the process; what may be the reason is printed:
        where it crashed, what it is linked with, and by which compiler.
    """
    environment = os.environ | {"PYTHONPATH": str(SITE)}
    command = [sys.executable, "-X", "faulthandler", "-c", _IMPORT, str(extension)]
    tried = subprocess.run(command, env=environment, check=False)
    if tried.returncode == 0:
        return
    print(sys.version, sysconfig.get_config_var("CC"), flush=True)
    compiler = os.environ.get("CXX", "g++")
    for command in ([compiler, "--version"], ["ldd", str(extension)]):
        subprocess.run(command, check=False)
    raise ImportError(f"{extension} ended Python with exit code {tried.returncode}")


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, cwd=ROOT)


def main() -> None:
    """Unpack and compile."""
    try:
        names = unpack_wheels(ROOT / "wheels", SITE)
        print(f"{SITE}: {', '.join(names) or 'nothing was missing'}")
        print(make_extension())
    except (OSError, ImportError, subprocess.CalledProcessError) as error:
        print(f"build: error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
