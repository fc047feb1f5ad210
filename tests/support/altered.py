"""The shipped model file altered at random, and what `streamsed info` makes of it.

A change is careless, so that the seal no longer fits and the file must be refused; or the
seal is taken off, as by who alters a file on purpose, so that every check behind it is
reached. What was a defect is kept in a folder.
"""

import json
import os
import warnings
import zipfile
from collections import Counter
from dataclasses import dataclass, field

import onnx
from archives import members, rewritten

from streamsed.inference.model_file import find_model

DEFAULT = find_model("default")
MAX_MEGABYTES, MAX_SECONDS = 500, 10.0
"""Of memory and of processor time that a command may take with any file."""

ODD = (
    *(None, True, "", "\x1b[2J", "x" * 3000, [], {}, [[[[]]]], {"Dog": {}}),
    *(0, -1, 1.5, 10**9, 10**30, 1e308, -1e-308),
)
"""Values that may stand in a description where another is expected."""


def alter(rng, path):
    """Write the shipped model with a random change; return its kind, and if it is sealed."""
    kind = rng.choice(list(KINDS))
    sealed = rng.random() < 0.5
    KINDS[kind](rng, path, sealed)
    return kind, sealed


def _bytes(rng, path, _sealed):
    data = bytearray(DEFAULT.read_bytes())
    for _ in range(rng.randrange(1, 9)):
        data[rng.randrange(len(data))] ^= rng.randrange(1, 256)
    path.write_bytes(data)


def _cut(rng, path, _sealed):
    data = DEFAULT.read_bytes()
    path.write_bytes(data[: rng.randrange(len(data))])


def _member(rng, path, sealed):
    """Replace some bytes of a member, or of its length."""
    content = members(DEFAULT, sealed=True)
    names = list(content)
    if rng.random() < 0.5:
        names = [name for name in names if name.startswith("extra/")]
    name = rng.choice(names)
    data = bytearray(content[name])
    start = rng.randrange(len(data) + 1)
    data[start : start + rng.randrange(9)] = rng.randbytes(rng.randrange(1, 9))
    way = rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    rewritten(DEFAULT, path, {name: bytes(data)}, compression=way, sealed=sealed)


def _description(rng, path, sealed):
    """Put an odd value in the place of one that stands anywhere in a description."""
    name = rng.choice(["extra/streamsed.json", "extra/weights.json"])
    whole = json.loads(members(DEFAULT, sealed=sealed)[name])
    inner = whole
    while True:
        keys = list(inner) if isinstance(inner, dict) else range(len(inner))
        key = rng.choice(keys)
        deeper = isinstance(inner[key], dict | list) and len(inner[key])
        if not deeper or rng.random() < 0.3:
            break
        inner = inner[key]
    if rng.random() < 0.2:
        del inner[key]
    else:
        inner[key] = rng.choice(ODD)
    rewritten(DEFAULT, path, {name: json.dumps(whole).encode()}, sealed=sealed)


def _graph(rng, path, sealed):
    """Change one thing of one node, weight or shape of a graph."""
    content = members(DEFAULT)
    name = rng.choice([n for n in content if n.endswith(".onnx")])
    model = onnx.load_from_string(content[name])
    node = rng.choice(model.graph.node)
    weight = rng.choice(model.graph.initializer)
    edge = rng.choice([*model.graph.input, *model.graph.output])
    shape = edge.type.tensor_type.shape.dim

    def attribute():
        if node.attribute:
            chosen = rng.choice(node.attribute)
            chosen.i = rng.choice([-1, 0, 1 << 40])
            chosen.ints[:] = [rng.choice([-1, 0, 3, 1 << 40]) for _ in chosen.ints]

    def inputs():
        if node.input:
            other = rng.choice(model.graph.node)
            node.input[rng.randrange(len(node.input))] = rng.choice(
                [*other.output, *other.input, weight.name, ""]
            )

    changes = (
        attribute,
        inputs,
        lambda: model.graph.node.remove(node),
        lambda: model.graph.node.append(node),
        lambda: setattr(node, "op_type", rng.choice(model.graph.node).op_type),
        lambda: setattr(weight, "data_type", rng.randrange(24)),
        lambda: weight.dims.append(rng.choice([0, 1, 2, 1 << 40])),
        lambda: setattr(weight, "raw_data", weight.raw_data[: rng.randrange(9)]),
        lambda: setattr(rng.choice(shape), "dim_value", rng.choice([0, 1, 7, 1 << 40])),
    )
    rng.choice(changes)()
    rewritten(DEFAULT, path, {name: model.SerializeToString()}, sealed=sealed)


def _archive(rng, path, sealed):
    """Leave a member out, write it twice, under another name, oddly packed, or huge."""
    content = members(DEFAULT, sealed=sealed)
    name = rng.choice([n for n in content if n.startswith("extra/")])
    data, way = content.pop(name), zipfile.ZIP_STORED
    added = []
    change = rng.randrange(5)
    if change == 1:
        added = [(name, data), (name, data[::-1])]
    elif change == 2:
        added = [(rng.choice(["../", "/", "C:\\", "\x1b", ""]) + name.upper(), data)]
    elif change == 3:
        added, way = [(name, data)], rng.choice([zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    elif change == 4:
        added, way = [(name, bytes(rng.choice([10**6, 10**8])))], zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that is written twice, as is wanted
        for each, content_of_it in content.items():
            archive.writestr(f"model/{each}", content_of_it)
        for each, content_of_it in added:
            archive.writestr(f"model/{each}", content_of_it, way)


KINDS = {
    "bytes of the file": _bytes,
    "file cut off": _cut,
    "bytes of a member": _member,
    "values of a description": _description,
    "parts of a graph": _graph,
    "members of the archive": _archive,
}


@dataclass
class Outcomes:
    """What came of the files so far."""

    counts: Counter = field(default_factory=Counter)
    megabytes: float = 0.0
    seconds: float = 0.0
    defects: list = field(default_factory=list)

    def __str__(self):
        counts = ", ".join(f"{n} {name}" for name, n in sorted(self.counts.items()))
        most = f"at most {self.megabytes:.0f} MB and {self.seconds:.1f} s of a core"
        return f"{counts}; {most}; {len(self.defects)} defects"


def try_info(server, path, outcomes, *, refuse=False):
    """Run `streamsed info` on a file; return what is wrong with how it ended, or ""."""
    errors = path.with_suffix(".stderr")
    running = server.start(
        "streamsed", ["info", path], stdout=os.devnull, stderr=errors
    )
    running.join(600)
    running.kill()
    code, megabytes, seconds = running.wait()
    lines = errors.read_text(errors="backslashreplace").splitlines()
    errors.unlink()
    outcomes.megabytes = max(outcomes.megabytes, megabytes)
    outcomes.seconds = max(outcomes.seconds, seconds)
    outcomes.counts["refused" if code else "loaded"] += 1
    allowed = ((2, 1),) if refuse else ((2, 1), (0, 0))
    if (code, len(lines)) not in allowed:
        return f"exit code {code} with {lines}"
    if any(not line.isprintable() or len(line) > 1500 for line in lines):
        return f"an odd line: {lines}"
    if megabytes > MAX_MEGABYTES or seconds > MAX_SECONDS:
        return f"{megabytes:.0f} MB, {seconds:.1f} s: {lines}"
    return ""
