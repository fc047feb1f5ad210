"""What the tests of corpora share: a corpus, and the command on it."""

import pytest
from corpora import write_corpus

from streamsed.inference.model import Model


@pytest.fixture(scope="session")
def run_corpus(streamsed):
    """Run `streamsed corpus` with the shipped model: it starts without torch."""

    def run(*arguments, **options):
        return streamsed("corpus", *arguments, "--workers", "2", **options)

    return run


@pytest.fixture(scope="session")
def recordings(tmp_path_factory):
    """24 short recordings, 12 of them broken."""
    return write_corpus(tmp_path_factory.mktemp("recordings"), 24)


@pytest.fixture(scope="session")
def finished(tmp_path_factory, recordings, run_corpus):
    """A corpus that was done in one run, with its scores."""
    out = tmp_path_factory.mktemp("corpus") / "out"
    run = run_corpus(recordings, "-o", out, "--scores")
    assert run.returncode == 1, run.stderr  # 1: some are broken
    return out


@pytest.fixture(scope="session")
def run_command(streamsed):
    """Run `streamsed corpus` with nothing added."""
    return lambda *arguments: streamsed("corpus", *arguments)


@pytest.fixture(scope="session")
def shipped():
    return Model.load("default", threads=1, n_parallel=1)
