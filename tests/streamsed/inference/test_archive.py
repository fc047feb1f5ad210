"""Archives: only plain ones are let in, and what is stated must be true."""

import contextlib
import io
import random
import struct
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsed.inference import archive
from streamsed.inference.archive import Archive


def zipped(members, compression=zipfile.ZIP_DEFLATED):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compression) as out:
        for name, content in members:
            out.writestr(name, content)
    return packed.getvalue()


PLAIN = [("m/a", b"first" * 100), ("m/b", bytes(range(256)))]


@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,8}(/[a-z.]{1,8}x)?", fullmatch=True),
        st.binary(max_size=300),
        min_size=1,
    ),
    st.booleans(),
)
def test_what_zipfile_writes_is_read_as_it_was(members, deflated):
    members = {f"root/{name}": content for name, content in members.items()}
    kind = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
    read = Archive(zipped(members.items(), kind))
    assert {name: read.inflate(name) for name in read.members} == members
    assert read.root == "root"


def test_what_torch_writes_is_read(tmp_path):
    import torch

    path = tmp_path / "t.pt"
    network = torch.jit.trace(torch.nn.Linear(3, 4), torch.zeros(1, 3))
    torch.jit.save(network, str(path), _extra_files={"note.txt": "hello"})
    read = Archive.open(path)
    read.check_all()
    assert read.read("extra/note.txt") == b"hello"
    with zipfile.ZipFile(path) as other:
        assert set(read.members) == set(other.namelist())


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("/etc/passwd", "plain relative name"),
        ("m/../../x", "plain relative name"),
        ("m//x", "plain relative name"),
        ("m\\x", "plain relative name"),
        ("C:/x", "plain relative name"),
        ("m/\x1b[2J", "is not printable"),
        ("m/" + "x" * 600, "is not printable"),
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(name, reason):
    with pytest.raises(ValueError, match=reason):
        Archive(zipped([(name, b"")]))


def test_a_member_that_is_there_twice_is_refused():
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = zipped([("m/a", b"1"), ("m/a", b"2")])
    with pytest.raises(ValueError, match="it holds m/a twice"):
        Archive(twice)


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_odd_compression_is_refused(kind):
    with pytest.raises(ValueError, match="unsupported compression"):
        Archive(zipped(PLAIN, kind))


def test_an_encrypted_member_is_refused():
    data = bytearray(zipped(PLAIN))
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1
    with pytest.raises(ValueError, match="is encrypted"):
        Archive(bytes(data))


def test_a_member_that_would_grow_is_refused():
    with pytest.raises(ValueError, match="has a compression ratio"):
        Archive(zipped([("m/zeros", bytes(10_000_000))]))


def test_a_lie_about_the_size_is_noticed_before_it_fills_the_memory():
    """The headers state 5 bytes where 5 MB would come."""
    packed = zlib.compressobj(wbits=-15)
    content = packed.compress(bytes(5_000_000)) + packed.flush()
    data = zipped([("m/a", b"12345")])
    honest = Archive(data).members["m/a"]
    true = struct.pack("<LL", honest.stop - honest.start, 5)
    data = data[: honest.start] + content + data[honest.stop :]
    data = data.replace(true, struct.pack("<LL", len(content), 5))
    end = data.rindex(b"PK\x05\x06")
    start = data.index(b"PK\x01\x02")
    data = data[: end + 16] + struct.pack("<L", start) + data[end + 20 :]
    read = Archive(data)
    with pytest.raises(ValueError, match="is damaged"):
        read.inflate("m/a")


def test_members_that_overlap_are_refused():
    data = zipped([("m/a", b"x" * 50), ("m/b", b"x" * 50)], zipfile.ZIP_STORED)
    entry = data.rindex(b"PK\x01\x02")
    first = data.index(b"PK\x01\x02")
    data = bytearray(data)
    data[entry + 42 : entry + 46] = bytes(4)  # the second lies where the first does
    data[entry : entry + 46] = data[first : first + 46]
    data[entry + 46 : entry + 49] = b"m/b"
    with pytest.raises(ValueError, match=r"differ|overlap"):
        Archive(bytes(data))


def test_too_many_members_and_too_many_bytes_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(archive, "MAX_MEMBERS", 1)
    with pytest.raises(ValueError, match="it has 2 members"):
        Archive(zipped(PLAIN))
    monkeypatch.undo()
    monkeypatch.setattr(archive, "MAX_BYTES", 700)
    with pytest.raises(ValueError, match="it holds more than"):
        Archive(zipped(PLAIN))
    path = tmp_path / "large"
    path.write_bytes(bytes(701))
    with pytest.raises(ValueError, match="it has 0 MB"):
        Archive.open(path)


def test_a_changed_byte_never_goes_unnoticed_where_it_matters():
    """Every byte that is flipped is refused, or changes nothing that is read."""
    whole = zipped(PLAIN)
    content = dict(PLAIN)
    rng = random.Random(0)
    for at in range(len(whole)):
        data = bytearray(whole)
        data[at] ^= 1 << rng.randrange(8)
        try:
            read = Archive(bytes(data))
            found = {name: read.inflate(name) for name in read.members}
        except ValueError:
            continue
        assert found == content


@given(st.binary(max_size=400), st.integers(0, 2**32))
def test_any_bytes_are_read_or_refused(noise, seed):
    rng = random.Random(seed)
    whole = bytearray(zipped(PLAIN))
    at = rng.randrange(len(whole))
    whole[at : at + len(noise)] = noise
    for data in (noise, bytes(whole), bytes(whole[: rng.randrange(len(whole))])):
        with contextlib.suppress(ValueError):
            Archive(data).check_all()
