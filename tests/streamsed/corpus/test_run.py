"""A whole run: what is in the tables, and what becomes of them when it is killed."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from functools import partial

import duckdb
import pytest
from corpora import BROKEN, rows, write_corpus
from environment import ENVIRONMENT

from streamsed.audio.decode import file_chunks
from streamsed.detector import Detector
from streamsed.inference.model_file import ModelFile, find_model

LABELS = ModelFile.open(find_model("default")).info.labels
KILLS = int(os.environ.get("STREAMSED_KILLS", "3"))
FILES = int(os.environ.get("STREAMSED_KILLS_FILES", "120"))


def test_every_file_has_a_row_and_broken_ones_say_what_is_wrong(finished, recordings):
    files = {row["uri"]: row for row in rows(finished, "files")}
    assert len(files) == 24
    assert len(BROKEN) == 12
    for path in recordings.rglob("*.*"):
        row = files[str(path)]
        if path.name in BROKEN:
            assert row["status"] == "failed"
            assert row["error"].startswith(str(path))
        else:
            assert row["status"] in ("ok", "empty")
            assert row["error"] is None
            assert (row["status"] == "ok") == (row["n_events"] > 0)


def test_events_are_those_that_the_detector_finds(finished):
    detector = Detector.load(threads=1)
    found = {}
    for row in rows(finished, "events"):
        found.setdefault(row["uri"], []).append(row)
    done = [r for r in rows(finished, "files") if r["status"] in ("ok", "empty")]
    assert found
    for file in done:
        expected = sorted(detector.events(file_chunks(file["uri"])))
        got = sorted(
            found.get(file["uri"], []), key=lambda r: (r["onset"], r["offset"])
        )
        assert [(r["label"], r["onset"], r["offset"], r["score"]) for r in got] == [
            (e.label, e.onset, e.offset, e.score) for e in expected
        ]


def test_duckdb_reads_all_tables_and_joins_them(finished):
    glob = f"{finished}/{{}}/*.parquet"
    joined = duckdb.sql(
        f"select f.status, count(*) from '{glob.format('events')}' e "
        f"join '{glob.format('files')}' f using (uri) group by all"
    ).fetchall()
    assert joined == [("ok", len(rows(finished, "events")))]
    scores = duckdb.sql(
        f"select uri, label, len(scores), list_max(scores) from '{glob.format('scores')}'"
    ).fetchall()
    read = [r for r in rows(finished, "files") if r["status"] in ("ok", "empty")]
    assert len(scores) == len(LABELS) * len(read)
    assert all(n > 0 and 0 <= highest <= 1 for _, _, n, highest in scores)


def test_the_same_command_again_does_nothing_and_a_changed_file_is_done_again(
    tmp_path, run_corpus
):
    recordings = write_corpus(tmp_path / "in", 6, n_broken=0)
    out = tmp_path / "out"
    assert run_corpus(recordings, "-o", out).returncode == 0
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*.parquet")}
    again = run_corpus(recordings, "-o", out)
    assert again.returncode == 0
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*.parquet")} == before

    changed = recordings / "day1" / "0001.wav"
    changed.write_bytes((recordings / "day5" / "0005.wav").read_bytes())
    assert run_corpus(recordings, "-o", out, "--relist").returncode == 0
    once = tmp_path / "once"
    assert run_corpus(recordings, "-o", once).returncode == 0
    for table in ("events", "files"):
        assert rows(out, table) == rows(once, table)


def test_other_settings_are_refused_with_what_differs(finished, recordings, run_corpus):
    run = run_corpus(recordings, "-o", finished, "--scores", "--threshold", "Dog=0.01")
    assert run.returncode == 2
    assert "onset_threshold of Dog was" in run.stderr
    assert "and is now 0.01" in run.stderr
    assert "another folder" in run.stderr
    assert len(run.stderr.splitlines()) == 1


def test_failed_files_are_done_again_only_if_that_is_asked_for(tmp_path, run_corpus):
    recordings = write_corpus(tmp_path / "in", 4, n_broken=2)
    out = tmp_path / "out"
    assert run_corpus(recordings, "-o", out).returncode == 1
    again = run_corpus(recordings, "-o", out)
    assert again.returncode == 1
    assert "4 of 4 files" in again.stderr
    assert "2 failed before (see --retry-failed)" in again.stderr
    status = json.loads((out / "status-1-of-1.json").read_text())
    assert (status["files_done_before"], status["failed_before"]) == (4, 2)
    repaired = recordings / "day0" / "empty.wav"
    good = (recordings / "day1" / "0001.wav").read_bytes()
    assert run_corpus(recordings, "-o", out, "--retry-failed").returncode == 1
    repaired.write_bytes(good)
    assert (
        run_corpus(recordings, "-o", out, "--retry-failed", "--relist").returncode == 1
    )
    status = {row["uri"]: row["status"] for row in rows(out, "files")}
    assert len(status) == len(rows(out, "files")) == 4
    assert status[str(repaired)] != "failed"


def test_shards_do_each_file_once_and_together_all(
    tmp_path, recordings, finished, run_corpus
):
    out = tmp_path / "out"
    for i in (1, 2, 3):
        run = run_corpus(recordings, "-o", out, "--shard", f"{i}/3", "--scores")
        status = json.loads((out / f"status-{i}-of-3.json").read_text())
        bad = status["failed"] + status["skipped"]
        good = status["ok"] + status["empty"]  # paths decide what is in a shard
        assert run.returncode == (0 if not bad else 1 if good else 2), run.stderr
    for table in ("events", "files", "scores"):
        assert rows(out, table) == rows(finished, table)


def test_a_shard_without_files_has_not_failed(tmp_path, run_corpus):
    recordings = write_corpus(tmp_path / "in", 1, n_broken=0)
    for i in (1, 2):
        run = run_corpus(recordings, "-o", tmp_path / "out", "--shard", f"{i}/2")
        assert run.returncode == 0, run.stderr
    assert len(rows(tmp_path / "out", "files")) == 1


def test_the_status_file_counts_what_was_done(finished):
    status = json.loads((finished / "status-1-of-1.json").read_text())
    files = rows(finished, "files")
    assert status["state"] == "finished"
    assert status["files"] == status["files_done"] == len(files)
    for name in ("ok", "empty", "failed", "skipped"):
        assert status[name] == sum(row["status"] == name for row in files)
    assert status["left_s"] == 0
    assert status["hours_done"] == pytest.approx(
        sum(r["seconds"] or 0 for r in files) / 3600, rel=0.01, abs=1e-4
    )


def start(recordings, out, *more):
    command = [sys.executable, "-m", "streamsed", "corpus", recordings, "-o", out]
    return subprocess.Popen(
        [
            str(word)
            for word in (*command, "--workers", "2", "--part-every", "0.05", *more)
        ],
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_killed_again_and_again_the_rows_are_those_of_an_undisturbed_run(
    tmp_path, run_corpus
):
    """STREAMSED_KILLS=50 kills it fifty times; 3 by default, among 120 files."""
    print(f"{KILLS} kills among {FILES} files (STREAMSED_KILLS, STREAMSED_KILLS_FILES)")
    recordings = write_corpus(tmp_path / "in", FILES, seconds=(0.5, 2.0))
    once, out = tmp_path / "once", tmp_path / "out"
    assert run_corpus(recordings, "-o", once).returncode == 1
    rng, n_before = random.Random(1), 0
    for kill in range(KILLS):
        run = start(recordings, out, "--piece", "15")
        goal = (kill + 1) * FILES // (KILLS + 1)
        while run.poll() is None and n_done(out) < goal:
            time.sleep(0.02)
        time.sleep(rng.uniform(0, 0.1))
        run.kill()
        run.communicate()
        assert n_done(out) >= n_before
        n_before = n_done(out)
    assert 0 < n_before < FILES
    last = start(recordings, out)
    last.communicate(timeout=120)
    assert last.returncode == 1
    for table in ("events", "files"):
        assert rows(out, table) == rows(once, table)
    assert not list(out.rglob(".*.parquet*"))  # no scratch file is left


def n_done(out):
    """Files in the parts that are there: read while they are written."""
    paths = list((out / "files").glob("*.parquet"))
    if not paths:
        return 0
    return duckdb.sql(f"select count(*) from '{out}/files/*.parquet'").fetchall()[0][0]


@pytest.mark.slow
def test_an_interruption_finishes_what_is_in_hand_and_the_next_run_the_rest(
    tmp_path, run_corpus
):
    recordings = write_corpus(tmp_path / "in", 50, seconds=(20, 30), n_broken=0)
    out = tmp_path / "out"
    run = start(recordings, out)
    while n_done(out) < 3:
        assert run.poll() is None
        time.sleep(0.02)
    run.send_signal(signal.SIGINT)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "finishing the current files" in errors
    n_first = n_done(out)
    assert 3 <= n_first < 50
    status = json.loads((out / "status-1-of-1.json").read_text())
    assert status["state"] == "interrupted"
    assert status["files_done"] == n_first
    second = start(recordings, out)
    second.communicate(timeout=120)
    assert second.returncode == 0
    assert len({row["uri"] for row in rows(out, "files")}) == 50
    assert len(rows(out, "files")) == 50


def test_a_full_disk_ends_the_run_in_one_line_and_the_next_run_does_it_all(
    tmp_path, run_corpus
):
    """A limit on the size of files stands for the disk: writing a part fails likewise."""
    recordings = write_corpus(tmp_path / "in", 4, n_broken=0)
    out, once = tmp_path / "out", tmp_path / "once"
    assert run_corpus(recordings, "-o", once).returncode == 0
    parts = [*once.glob("events/*.parquet"), *once.glob("files/*.parquet")]
    too_small = min(path.stat().st_size for path in parts) - 1
    assert too_small > (once / "manifest.parquet").stat().st_size
    assert too_small > (once / "corpus.json").stat().st_size
    for limit in (10, too_small):  # the first file of all does not fit, or a table
        full = run_corpus(
            *(recordings, "-o", out),
            preexec_fn=partial(
                resource.setrlimit, resource.RLIMIT_FSIZE, (limit, limit)
            ),
        )
        assert full.returncode == 2
        last = full.stderr.splitlines()[-1]
        assert f"error: --output {out}: no room for the tables (file too large)" in last
        assert "Traceback" not in full.stderr
    assert rows(out, "files") == []
    assert run_corpus(recordings, "-o", out).returncode == 0
    for table in ("events", "files"):
        assert rows(out, table) == rows(once, table)
    assert not [path for path in out.rglob(".*") if path.is_file()]
