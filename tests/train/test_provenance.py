"""Where a result comes from: the commit, and whether the code was that commit's."""

import os
import subprocess

import pytest

from train import provenance


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository of one file and one commit, in which the code is said to lie."""

    def git(*words):
        identity = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        return subprocess.run(
            ["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True
        ).stdout.decode()

    # Neither a hook that runs the tests nor its owner's settings have a say.
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    git("init", "-q")
    (tmp_path / "code.py").write_text("x = 1\n")
    git("add", "code.py")
    git("commit", "-q", "-m", "first")
    git("tag", "v1")
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "provenance.py"))
    return tmp_path, git("rev-parse", "HEAD")[:12]


def test_the_commit_is_named_by_its_first_digits(repository):
    folder, commit = repository
    (folder / "runs").mkdir()
    (folder / "runs" / "log.csv").write_text("untracked\n")
    assert provenance.current_commit() == commit


def test_code_that_was_changed_since_is_not_passed_off_as_the_commits(repository):
    folder, commit = repository
    (folder / "code.py").write_text("x = 2\n")
    assert provenance.current_commit() == f"{commit}-dirty"


def test_outside_a_repository_the_commit_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "provenance.py"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.current_commit() == "unknown"
