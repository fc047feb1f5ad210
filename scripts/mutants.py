"""Do the tests notice? `python -m scripts.mutants --out FILE [--again] [TARGET ...]`.

Every target is a module and the tests that guard it. Each of its mutants (see
`scripts.mutate`) is run in a forked process, which finds the changed source in the place of
the file; the first test that fails has noticed. Results are appended to FILE, a line of
JSON each, and existing ones are not run again. docs/mutation.md has the results.

A process is cheap: libraries are imported before it is forked, an example that fails is not
made smaller, and one that loops for ever ends when it has used a few times the processor
time of the unchanged tests.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import random
import resource
import signal
import subprocess
import sys
import sysconfig
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType

import hypothesis
import pybind11
import pytest

from scripts.build import compile_commands
from scripts.mutant_targets import MISREADINGS, ROOT, TARGETS, Target
from scripts.mutate import Mutant

NAMED = "named"
"""The target that is every misreading."""
OBJECTS = ROOT / "build" / "mutants"
TIMEOUT = 300.0
"""Seconds after which a mutant that waits for ever has been noticed."""
WARM = (
    *("torch.onnx", "torch.fx.experimental.symbolic_shapes", "rich.progress"),
    *("soundfile", "soxr", "scipy.signal"),
    *("hypothesis.extra.numpy", "sed_eval", "sed_scores_eval"),
)
"""Libraries that the processes of mutants would import, each for itself."""
PATIENCE = 4
"""A mutant may use that many times the processor time of the unchanged tests, and 5 s."""
MEMORY = 2 << 30
"""Bytes that a mutant may take beyond what this process has."""


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds one module in a changed text."""

    def __init__(self, name: str, path: Path, source: str) -> None:
        self.name, self.path, self.source = name, path, source

    def find_spec(
        self, name: str, _path: object = None, _target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != self.name:
            return None
        return importlib.util.spec_from_file_location(name, self.path, loader=self)

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self.source, self.path, "exec"), module.__dict__)  # noqa: S102


class _Extension(importlib.abc.MetaPathFinder):
    """Finds the C++ core in a library of its own."""

    def __init__(self, library: Path) -> None:
        self.library = library

    def find_spec(
        self, name: str, _path: object = None, _target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != "streamsed._core":
            return None
        return importlib.util.spec_from_file_location(name, self.library)


class _AsFound:
    """Leaves examples that fail as they were found: making them smaller takes minutes."""

    def pytest_collection(self) -> None:
        settings = hypothesis.settings
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        settings.register_profile("mutants", settings(), phases=phases)
        settings.load_profile("mutants")


def is_noticed(
    target: Target, mutant: Mutant | None, *, cpu: float = TIMEOUT
) -> tuple[bool, float]:
    """Run the tests of a target on a mutant of it, or as it is, in a process of its own.

    Returns
    -------
    noticed : bool
        A test has failed, or the processor time `cpu` was not enough.
    used : float
        Seconds of processor time.
    """
    finder: importlib.abc.MetaPathFinder | None = None
    if target.path.endswith(".cpp"):
        library = build_core(mutant)
        if library is None:
            return True, 0.0  # the compiler has noticed
        finder = _Extension(library)
    elif mutant is not None:
        finder = _Changed(target.module, ROOT / target.path, mutant.source)
    child = os.fork()
    if child == 0:
        _limit(cpu)
        _run_tests(target, finder)
    return _await(child)


def _limit(cpu: float) -> None:
    """Bound what this process may use."""
    seconds = int(cpu) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _run_tests(target: Target, finder: importlib.abc.MetaPathFinder | None) -> None:
    """Run tests in this process, which ends with them."""
    code = 1
    try:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        if finder is not None:
            sys.meta_path.insert(0, finder)
        options = ["-x", "-q", "-m", "not slow", "-p", "no:cacheprovider"]
        options += ["--assert=plain"]  # nobody reads what has failed
        options += [f"-pno:{plugin}" for plugin in ("xdist", "pytest_cov", "anyio")]
        options += [f"--deselect={test}" for test in target.without]
        code = pytest.main([*options, *target.tests], plugins=[_AsFound()])
    finally:
        os._exit(int(code))


def _await(child: int) -> tuple[bool, float]:
    """Wait for a process, not longer than TIMEOUT."""
    end = time.monotonic() + TIMEOUT
    done = 0
    while not done and time.monotonic() < end:
        time.sleep(0.02)
        done, status, usage = os.wait4(child, os.WNOHANG)
    if not done:
        os.kill(child, signal.SIGKILL)
        _, status, usage = os.wait4(child, 0)
    return status != 0, usage.ru_utime + usage.ru_stime


def build_core(mutant: Mutant | None) -> Path | None:
    """Compile the core with a mutant of its gap filter; None where it is no program."""
    objects = OBJECTS / "objects"
    objects.mkdir(parents=True, exist_ok=True)
    includes = [Path(sysconfig.get_path("include")), Path(pybind11.get_include())]
    commands = compile_commands(objects, includes)
    newest = max(path.stat().st_mtime for path in (ROOT / "csrc").rglob("*.*"))
    for path, command in commands.items():
        if not path.is_file() or path.stat().st_mtime < newest:
            subprocess.run([*command, "-c", "-o", str(path)], cwd=ROOT, check=True)
    library = OBJECTS / f"_core{sysconfig.get_config_var('EXT_SUFFIX')}"
    built = {path.stem: path for path in commands}
    if mutant is not None:
        source = OBJECTS / "gap_filter.cpp"
        source.write_text(mutant.source, encoding="utf-8")
        built["gap_filter"] = OBJECTS / "gap_filter.o"
        command = [
            *(
                part
                for part in commands[objects / "gap_filter.o"]
                if part[-4:] != ".cpp"
            ),
            *("-Icsrc", str(source), "-c", "-o", str(built["gap_filter"])),
        ]
        if subprocess.run(
            command, cwd=ROOT, capture_output=True, check=False
        ).returncode:
            return None
    link = ["g++", "-shared", *map(str, built.values()), "-o", str(library)]
    subprocess.run(link, cwd=ROOT, check=True)
    return library


def main() -> None:
    """Run the selected mutants and print the survivors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", choices=[NAMED, *TARGETS, []])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sample", type=int, default=0, help="of each target; 0: all")
    parser.add_argument("--again", action="store_true", help="try survivors once more")
    arguments = parser.parse_args()
    results = Results(arguments.out, again=arguments.again)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for library in WARM:
            importlib.import_module(library)
    gc.freeze()  # else each process goes through all that they hold, twice
    for name in arguments.targets or (NAMED, *TARGETS):
        if name == NAMED:
            named = [
                (Target(each.path, (each.test,)), as_mutant(change))
                for change, each in MISREADINGS.items()
            ]
            try_all(results, name, named)
            continue
        target = TARGETS[name]
        mutants = target.mutants()
        if arguments.sample and arguments.sample < len(mutants):
            mutants = random.Random(0).sample(mutants, arguments.sample)
        try_all(results, name, [(target, mutant) for mutant in mutants])


def as_mutant(change: str) -> Mutant:
    """Make a mutant of a misreading, by its name."""
    misreading = MISREADINGS[change]
    source = (ROOT / misreading.path).read_text(encoding="utf-8")
    line = source[: source.index(misreading.old)].count("\n") + 1
    return Mutant(line, change, misreading.apply(source))


class Results:
    """What was found so far, in a file with a line of JSON for each mutant.

    A run that was ended goes on from there. Of a source that has changed since, all
    mutants are tried again, and what went unnoticed if `again` is set.
    """

    def __init__(self, path: Path, *, again: bool = False) -> None:
        self.path = path
        self._done: set[str] = set()
        if path.is_file():
            for text in path.read_text(encoding="utf-8").splitlines():
                row = json.loads(text)
                if row.pop("noticed") or not again:
                    self._done.add(json.dumps(row))

    def __contains__(self, about: Mapping[str, object]) -> bool:
        return json.dumps(about) in self._done

    def add(self, about: Mapping[str, object], *, noticed: bool) -> None:
        """Append what became of a mutant."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**about, "noticed": noticed}) + "\n")


def describe(
    name: str, mutants: Sequence[tuple[Target, Mutant]]
) -> Iterator[dict[str, object]]:
    """Tell mutants apart, those that do the same twice in a line as well."""
    seen: Counter[tuple[str, int, str]] = Counter()
    for target, mutant in mutants:
        source = (ROOT / target.path).read_bytes()
        seen[key := (target.path, mutant.line, mutant.change)] += 1
        yield {
            "target": name,
            "source": hashlib.sha256(source).hexdigest()[:12],
            "line": mutant.line,
            "change": mutant.change,
            "number": seen[key],
        }


def try_all(
    results: Results, name: str, mutants: Sequence[tuple[Target, Mutant]]
) -> None:
    """Try those mutants that were not yet tried, and print which went unnoticed."""
    to_do = [
        (about, target, mutant)
        for about, (target, mutant) in zip(
            describe(name, mutants), mutants, strict=True
        )
        if about not in results
    ]
    cpu = {}
    for target in dict.fromkeys(target for _, target, _ in to_do):
        tests = target.tests
        if tests not in cpu:
            noticed, used = is_noticed(target, None)
            cpu[tests] = PATIENCE * used + 5
            if noticed:
                sys.exit(
                    f"{name}: {', '.join(tests)} must pass before anything is changed"
                )
    for about, target, mutant in to_do:
        noticed, _ = is_noticed(target, mutant, cpu=cpu[target.tests])
        results.add(about, noticed=noticed)
        if not noticed:
            print(f"{target.path}:{mutant.line}: {mutant.change}", flush=True)


if __name__ == "__main__":
    main()
