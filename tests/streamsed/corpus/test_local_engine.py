"""Workers that die, hang or swell cost the row of their file and nothing else."""

import json
import shutil

import pytest
import soundfile
import sounds
from corpora import rows, write_corpus
from corpus_engine import work
from poison import PoisonedWorker, dead, unable

from streamsed.corpus.pool import Limits


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
    assert (
        "failed twice: the worker was killed by SIGABRT" in done["abort.wav"]["error"]
    )
    assert "longer than the limit of 8 s" in done["hang.wav"]["error"]
    assert "more memory than the limit of 600 MB" in done["swell.wav"]["error"]
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
    assert "damaged or truncated after" in pieces["damaged.flac"]["error"]
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
    [(unable, "no worker today"), (dead, "the workers do not start")],
)
def test_workers_that_cannot_start_end_the_run(tmp_path, shipped, make, message):
    recordings = write_corpus(tmp_path / "in", 2, n_broken=0)
    with pytest.raises(ValueError, match=message):
        work(shipped, recordings, tmp_path / "out", make=make)
    status = json.loads((tmp_path / "out" / "status.json").read_text())
    assert status["state"] == "stopped"
