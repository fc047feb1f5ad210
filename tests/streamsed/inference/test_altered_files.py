"""Whatever is altered in a model file, reading it ends in one line, soon, in little memory.

`make altered` tries 1000 files with the command; by default there are a few.
"""

import json
import os
import random
import shutil
from pathlib import Path

import pytest
from altered import DEFAULT, KINDS, Outcomes, alter, try_info
from archives import members
from environment import ENVIRONMENT
from fork_server import LIGHT, ForkServer

from streamsed.inference.model import Model

N_FILES = int(os.environ.get("STREAMSED_ALTERED", "8"))
KEPT = Path("build/altered")


@pytest.mark.parametrize("kind", KINDS)
def test_altered_files_end_in_one_line_or_load(kind, tmp_path):
    """In this process, which is quick; a fuzzer goes on from here."""
    rng = random.Random(kind)
    for number in range(12):
        path = tmp_path / f"{number}.pt"
        KINDS[kind](rng, path, False)
        refusal = ""
        try:
            Model.load(path, device="cpu", engine="onnx")
        except ValueError as error:
            refusal = " ".join(str(error).split())
        assert refusal.isprintable()
        path.unlink()


@pytest.fixture(scope="module")
def server():
    server = ForkServer(LIGHT, environment=ENVIRONMENT)
    yield server
    server.close()


def test_the_command_ends_in_one_line_soon_and_in_little_memory(server, tmp_path):
    outcomes = Outcomes()
    original = members(DEFAULT, sealed=True)
    for number in range(N_FILES):
        path = tmp_path / f"{number}.pt"
        kind, sealed = alter(random.Random(number), path)
        refuse = sealed and is_altered(members_of(path), original)
        if wrong := try_info(server, path, outcomes, refuse=refuse):
            outcomes.defects.append(f"{number}, {kind}: {wrong}")
            KEPT.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, KEPT)
            print(outcomes.defects[-1], flush=True)
        path.unlink()
    print(f"{N_FILES} altered model files: {outcomes}")
    assert outcomes.defects == []


def is_altered(found, original):
    """Whether a file that can be read is another, and still has the seal it was given."""
    if found is None or found == original:
        return False
    description = "extra/streamsed.json"
    return seal_of(found.get(description)) == seal_of(original[description])


def seal_of(description):
    """What a description holds as its seal; None where it is no description."""
    try:
        return json.loads(description or b"")["seal"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def members_of(path):
    """What a file holds; None where it is no archive that Python's reader takes."""
    try:
        return members(path, sealed=True)
    except Exception:  # noqa: BLE001 - of whatever kind: it differs from the original
        return None
