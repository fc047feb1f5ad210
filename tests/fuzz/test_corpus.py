"""Files that the fuzzer begins with, and those that were defects once."""

import pytest
from fuzz_targets import CORPUS, TARGETS

FILES = sorted(path for name in TARGETS for path in (CORPUS / name).iterdir())


def test_every_target_has_a_corpus_and_every_corpus_a_target():
    assert {path.name for path in CORPUS.iterdir()} == {*TARGETS, "core"}
    assert {path.parent.name for path in FILES} == set(TARGETS)


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_a_file_is_read_or_refused_in_one_line(path, tmp_path):
    target = TARGETS[path.parent.name]
    copy = tmp_path / f"input{target.suffix}"
    copy.write_bytes(path.read_bytes())
    target.check(copy)


@pytest.mark.parametrize("name", TARGETS)
def test_a_corpus_has_good_files_and_bad_ones(name, tmp_path):
    target = TARGETS[name]
    verdicts = set()
    for path in (CORPUS / name).iterdir():
        copy = tmp_path / f"input{target.suffix}"
        copy.write_bytes(path.read_bytes())
        verdicts.add(target.check(copy))
    assert verdicts == {True, False}
