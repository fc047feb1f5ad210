"""`streamsed serve --check` looks whether outputs can be written, and changes nothing."""

import sqlite3

import pytest

from streamsed.serve.job import ServeJob
from streamsed.serve.store.sink import StoreSink

HOME = """
[[source]]
name = "door"
url = "-"
[log]
path = "{folder}/night.jsonl"
[store]
path = "{folder}/kept/home.sqlite"
[clips]
path = "{folder}/clips"
"""


@pytest.fixture
def home(tmp_path):
    path = tmp_path / "home.toml"
    path.write_text(HOME.format(folder=tmp_path))
    return path


def contents(folder):
    """Every file below a folder with what is in it, and every folder."""
    return {p: p.is_file() and p.read_bytes() for p in folder.rglob("*")}


def checked(home, capsys):
    """Return the exit code, and what was printed; nothing must have changed."""
    before = contents(home.parent)
    code = ServeJob(home).check()
    assert contents(home.parent) == before
    return code, capsys.readouterr().err


def test_outputs_that_do_not_exist_yet_are_good_and_not_made(home, capsys):
    assert checked(home, capsys)[0] == 0


def test_outputs_that_are_written_at_the_moment_are_good(home, capsys):
    (home.parent / "night.jsonl").write_text('{"state": "started"}\n')
    (home.parent / "clips").mkdir()
    store = StoreSink(home.parent / "kept" / "home.sqlite")
    assert checked(home, capsys)[0] == 0
    store.close()
    assert checked(home, capsys)[0] == 0


def test_every_output_that_cannot_be_opened_is_named(home, capsys):
    folder = home.parent
    (folder / "night.jsonl").write_bytes(b"fLaC")
    (folder / "kept").mkdir()
    (folder / "kept" / "home.sqlite").write_text("a letter to the bank")
    (folder / "clips").write_text("a list of clips")
    code, said = checked(home, capsys)
    assert code == 2
    assert f"[log] path: {folder}/night.jsonl: is not a log" in said
    assert f"[store] path: {folder}/kept/home.sqlite: not a store" in said
    assert f"[clips] path: {folder}/clips: is a file, not a folder" in said
    assert "all settings are valid" not in said


def test_a_folder_that_is_a_file_is_named(home, capsys):
    (home.parent / "kept").touch()
    code, said = checked(home, capsys)
    assert code == 2
    assert f"[store] path: {home.parent}/kept/home.sqlite: {home.parent}/kept" in said


def test_a_store_of_another_program_or_a_newer_one_is_not_good(home, capsys):
    path = home.parent / "kept" / "home.sqlite"
    path.parent.mkdir()
    for statement, fault in [
        ("PRAGMA user_version = 99", "written by a newer streamsed"),
        ("CREATE TABLE letter (text)", "not a store of streamsed"),
    ]:
        with sqlite3.connect(path) as other:
            other.execute(statement)
        other.close()
        code, said = checked(home, capsys)
        assert code == 2
        assert fault in said
        path.unlink()
