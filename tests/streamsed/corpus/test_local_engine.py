"""Workers that die, hang or swell cost the row of their file and nothing else."""

import json
import shutil

import pytest
import soundfile
import sounds
from corpora import rows, write_corpus
from poison import PoisonedWorker, dead, unable

from streamsed.corpus.files.listing import list_inputs
from streamsed.corpus.identity import Identity
from streamsed.corpus.local_engine import LocalEngine
from streamsed.corpus.pool import Limits
from streamsed.corpus.status import Status
from streamsed.corpus.tables.parts import PartWriter
from streamsed.corpus.worker import CorpusWorker, WorkSettings
from streamsed.inference.model import Model


@pytest.fixture(scope="module")
def shipped():
    return Model.load("default", threads=1, n_parallel=1)


def work(
    shipped, recordings, out, *, make=CorpusWorker, limits=None, piece=1200.0, **more
):
    """Run the engine without the command around it."""
    out.mkdir()
    info = shipped.info
    identity = Identity.of(
        shipped, info.stream, info.post, labels=info.labels, scores=False
    )
    settings = WorkSettings(
        model="default",
        engine={
            "threads": 1,
            "engine": shipped.chosen.engine,
            "precision": shipped.chosen.precision,
        },
        stream=info.stream,
        post=info.post,
        labels=info.labels,
        keep_scores=more.pop("keep_scores", False),
        piece=piece,
        staging=out / ".staging",
        delays=(0.01, 0.01),
    )
    engine = LocalEngine(settings, info, 2, limits or Limits(), make=make, **more)
    files = list(list_inputs([str(recordings)], on_error=print))
    status = Status(out / "status.json", len(files), sum(f.size for f in files))
    writer = PartWriter(out, "1-of-1", identity.stamp())
    assert engine.run(files, writer, status)
    return {row["uri"].rpartition("/")[2]: row for row in rows(out, "files")}


def test_files_that_kill_hang_or_swell_are_named_and_all_others_done(tmp_path, shipped):
    recordings = write_corpus(tmp_path / "in", 8, n_broken=0)
    good = recordings / "day1" / "0001.wav"
    for name in ("abort.wav", "hang.wav", "swell.wav"):
        shutil.copy(good, recordings / name)
    plain = work(shipped, recordings, tmp_path / "plain")
    limits = Limits(time=8.0, memory=600 << 20)
    done = work(
        shipped, recordings, tmp_path / "out", make=PoisonedWorker, limits=limits
    )
    assert "ended by SIGABRT, twice" in done["abort.wav"]["error"]
    assert "longer than the limit of 8 s, twice" in done["hang.wav"]["error"]
    assert "more memory than the limit of 600 MB, twice" in done["swell.wav"]["error"]
    for name, row in done.items():
        if name not in ("abort.wav", "hang.wav", "swell.wav"):
            assert row | {"model": ""} == plain[name] | {"model": ""}


def test_long_files_in_pieces_give_the_rows_of_unsplit_ones(tmp_path, shipped):
    recordings = tmp_path / "in"
    recordings.mkdir()
    for i in range(3):
        seconds = 50.0 + 17 * i
        soundfile.write(recordings / f"{i}.flac", sounds.scene(seconds, seed=i), 44100)
    scene = recordings / "scene.flac"
    shutil.copy("examples/scene.flac", scene)
    broken = bytearray((recordings / "2.flac").read_bytes())
    broken[-9000:-7000] = bytes(2000)
    (recordings / "damaged.flac").write_bytes(broken)
    whole = work(shipped, recordings, tmp_path / "whole", keep_scores=True)
    pieces = work(
        shipped, recordings, tmp_path / "pieces", piece=10.5, keep_scores=True
    )
    assert rows(tmp_path / "pieces", "events") == rows(tmp_path / "whole", "events")
    assert whole["scene.flac"]["n_events"] > 0
    assert (
        pieces["damaged.flac"]["status"] == whole["damaged.flac"]["status"] == "failed"
    )
    assert "damaged or cut off past" in pieces["damaged.flac"]["error"]
    for name in ("0.flac", "1.flac", "2.flac", "scene.flac"):
        assert pieces[name] == whole[name]
    assert joined_scores(tmp_path / "pieces") == joined_scores(tmp_path / "whole")
    assert len(rows(tmp_path / "pieces", "scores")) > len(
        rows(tmp_path / "whole", "scores")
    )


def joined_scores(out):
    joined = {}
    for row in sorted(
        rows(out, "scores"), key=lambda r: (r["uri"], r["label"], r["onset"])
    ):
        scores = joined.setdefault((row["uri"], row["label"]), [])
        assert row["onset"] == pytest.approx(len(scores) * row["step"])
        scores += [float(score) for score in row["scores"]]
    return joined


@pytest.mark.parametrize(
    ("make", "message"),
    [(unable, "no worker today"), (dead, "workers must start, and do not")],
)
def test_workers_that_cannot_start_end_the_run(tmp_path, shipped, make, message):
    recordings = write_corpus(tmp_path / "in", 2, n_broken=0)
    with pytest.raises(ValueError, match=message):
        work(shipped, recordings, tmp_path / "out", make=make)
    status = json.loads((tmp_path / "out" / "status.json").read_text())
    assert status["state"] == "stopped"
