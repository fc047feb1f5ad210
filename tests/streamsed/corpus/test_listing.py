"""What inputs stand for: folders, patterns, lists, names of any kind."""

import os
from contextlib import suppress
from itertools import chain

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamsed.corpus.files.listing import (
    Listed,
    list_inputs,
    manifest_inputs,
    read_manifest,
    write_manifest,
)
from streamsed.corpus.files.shards import Shard, locked
from streamsed.corpus.files.storage import is_url, local_path, uri_of


@pytest.fixture
def folder(tmp_path):
    for name in ("a.wav", "deep/er/b.FLAC", "deep/c.mp3", "deep/notes.txt", ".hid.wav"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * len(name))
    return tmp_path / "in"


def names(found, folder):
    return [os.path.relpath(listed.uri, folder) for listed in found]


def listing(*inputs):
    return list(list_inputs([str(each) for each in inputs], on_message=pytest.fail))


def test_a_folder_gives_the_audio_files_below_it_with_size_and_time(folder):
    found = listing(folder)
    assert names(found, folder) == ["a.wav", "deep/c.mp3", "deep/er/b.FLAC"]
    state = (folder / "a.wav").stat()
    assert (found[0].size, found[0].etag) == (state.st_size, str(state.st_mtime_ns))


def test_patterns_files_and_folders_give_each_file_once(folder):
    found = listing(folder / "a.wav", folder / "**" / "*.mp3", folder / "deep", folder)
    assert sorted(names(found, folder)) == ["a.wav", "deep/c.mp3", "deep/er/b.FLAC"]


@pytest.mark.parametrize("scheme", ["", "file://", "local://"])
def test_recordings_in_other_formats_are_counted_for_each_input(folder, scheme):
    for name in ("film.MP4", "deep/tape.m4a", "deep/er/tape.m4a"):
        (folder / name).touch()
    said = []
    inputs = [
        f"{scheme}{folder / 'deep'}",
        str(folder / "*.mp4"),
        str(folder / "a.wav"),
    ]
    (folder / "second.mp4").touch()
    with suppress(ValueError):  # the pattern alone has nothing that can be read
        list(list_inputs(inputs, on_message=said.append))
    remedy = "passed over; convert with `ffmpeg -i IN OUT.wav`"
    assert said == [
        f"{inputs[0]}: 2 recordings in other formats (.m4a) {remedy}",
        f"{inputs[1]}: 1 recording in other formats (.mp4) {remedy}",
    ]


@pytest.mark.parametrize("suffix", [".txt", ".csv", ".parquet"])
def test_lists_name_files_that_need_not_exist(folder, suffix):
    path = folder.parent / f"list{suffix}"
    uris = [str(folder / "a.wav"), str(folder / "gone.wav"), "s3://b/x.wav"]
    if suffix == ".txt":
        path.write_text("# mine\n" + "\n".join(uris[:2]) + "\n\n")
    elif suffix == ".csv":
        lines = "".join(f"{uri},{i or ''},{i or ''}\n" for i, uri in enumerate(uris))
        path.write_text("uri,size,etag\n" + lines)
    else:
        etags = ["", "", "e"]
        table = pa.table({"path": uris, "size": [None, None, 7], "etag": etags})
        pq.write_table(table, path)
    found = {listed.uri: listed for listed in listing(path)}
    assert found[uris[0]].size == len("a.wav")
    assert found[uris[1]] in (Listed(uris[1], -1, ""), Listed(uris[1], 1, "1"))
    if suffix != ".txt":
        assert found[uris[2]].size > 0  # as the list says: nobody was asked


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nowhere", "no such file"),
        ("nowhere/*.wav", "no audio files"),
        ("nope://bucket/x", "nope://bucket/x"),
    ],
)
def test_inputs_that_give_nothing_are_named(text, message):
    with pytest.raises((ValueError, OSError), match=message):
        listing(text)


def test_a_list_without_uris_says_which_columns_it_has(tmp_path):
    (tmp_path / "l.csv").write_text("name,length\na,1\n")
    with pytest.raises(ValueError, match=r"no column uri .* are name, length"):
        listing(tmp_path / "l.csv")


@given(name=st.binary(min_size=1, max_size=40))
def test_any_name_of_a_local_file_has_a_uri_that_leads_back(name):
    name = name.replace(b"/", b"_").replace(b"\0", b"_")
    if name in (b".", b".."):
        name += b"_"
    path = local_path("/some/folder") / os.fsdecode(name)
    uri = uri_of(path)
    uri.encode()  # a table holds UTF-8
    assert local_path(uri) == path
    assert not is_url(uri)


def test_the_manifest_remembers_its_inputs_and_shards_share_its_files(tmp_path):
    files = [Listed(f"/{i}.wav", i, "e") for i in range(50)]
    assert manifest_inputs(tmp_path) is None
    write_manifest(tmp_path, ["a", "b"], files[::-1])
    assert manifest_inputs(tmp_path) == ["a", "b"]
    shares = [list(read_manifest(tmp_path, Shard(i, 4))) for i in (1, 2, 3, 4)]
    assert all(shares)
    assert sorted(chain(*shares), key=lambda f: f.size) == files


@pytest.mark.parametrize("text", ["0/3", "4/3", "x", "1/0", "1/", "-1/2"])
def test_shards_that_cannot_be_are_refused(text):
    with pytest.raises(ValueError, match="--shard must be"):
        Shard.parse(text)


def test_a_shard_is_locked_by_one_and_shards_of_another_count_wait(tmp_path):
    with locked(tmp_path, Shard(1, 2)) as others:
        assert others == set()
        with (
            pytest.raises(ValueError, match="is working on shard 1/2"),
            locked(tmp_path, Shard(1, 2)),
        ):
            pass
        with (
            pytest.raises(ValueError, match="processed twice; use --shard i/2"),
            locked(tmp_path, Shard(1, 3)),
        ):
            pass
        with locked(tmp_path, Shard(2, 2)) as others:
            assert others == {"1-of-2"}
    with locked(tmp_path, Shard(1, 3)) as others:
        assert others == set()
