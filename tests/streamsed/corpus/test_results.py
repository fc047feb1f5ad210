"""What is done with a corpus that is finished: exports, clips, forecasts."""

import csv
import json
import os

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
from corpora import rows, write_corpus

from streamsed.corpus.tables import search
from streamsed.corpus.tables.search import find_events


def test_an_export_has_every_event_with_its_file(finished, tmp_path, run_command):
    path = tmp_path / "all.parquet"
    assert run_command("export", finished, "-o", path).returncode == 0
    events = rows(finished, "events")
    files = {row["uri"]: row for row in rows(finished, "files")}
    exported = sorted(pq.read_table(path).to_pylist(), key=repr)
    assert len(exported) == len(events) > 0
    for row, event in zip(exported, events, strict=True):
        assert event.items() <= row.items()
        assert row["seconds"] == files[row["uri"]]["seconds"]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl"])
def test_texts_are_as_file_writes_them(finished, tmp_path, run_command, suffix):
    path = tmp_path / f"dogs{suffix}"
    run = run_command("export", finished, "-o", path, "--label", "dog")
    expected = [r for r in rows(finished, "events") if r["label"] == "Dog"]
    assert f"{len(expected)} events of 12 files" in run.stdout
    lines = path.read_text().splitlines()
    if suffix == ".jsonl":
        found = [(r["filename"], r["label"]) for r in map(json.loads, lines)]
    else:
        read = csv.DictReader(lines, delimiter="," if suffix == ".csv" else "\t")
        found = [(r["filename"], r.get("label", r.get("event_label"))) for r in read]
    if suffix == ".tsv":  # files without a dog have a line of their own
        assert len({name for name, _ in found}) == 12
        found = [pair for pair in found if pair[1]]
    assert sorted(found) == sorted((r["uri"], r["label"]) for r in expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["-o", "x.xls"],
            "--output must end with .parquet, .csv, .jsonl, .tsv, not '.xls'",
        ),
        (["-o", "x.csv", "--label", "Dgo"], "--label: unknown label 'Dgo'"),
        (
            ["-o", "x.csv", "--min-score", "2"],
            "--min-score must be from 0 to 1, not 2.0",
        ),
    ],
)
def test_exports_that_cannot_be_are_one_line(finished, run_command, arguments, message):
    run = run_command("export", finished, *arguments)
    assert run.returncode == 2
    assert message in run.stderr
    assert len(run.stderr.splitlines()) == 1


def test_an_export_replaces_no_table_of_the_corpus(finished, run_command):
    before = {path: path.read_bytes() for path in finished.rglob("*.parquet")}
    (part, *_) = (finished / "events").iterdir()
    for path in (finished / "manifest.parquet", part, part.with_name("all.parquet")):
        run = run_command("export", finished, "-o", path)
        assert run.returncode == 2
        (line,) = run.stderr.splitlines()
        assert f"--output {path}: is among the tables of the corpus" in line
    assert {p: p.read_bytes() for p in finished.rglob("*.parquet")} == before


def test_a_folder_that_is_no_corpus_is_one_line(tmp_path, run_command):
    run = run_command("export", tmp_path, "-o", tmp_path / "x.csv")
    assert run.returncode == 2
    assert "has no corpus.json" in run.stderr


def test_clips_are_the_sounds_that_were_found(finished, tmp_path, run_command):
    clips = tmp_path / "clips"
    arguments = ["--context", "0.25", "--limit", "5", "-o", clips]
    run = run_command("search", finished, *arguments)
    assert run.returncode == 0, run.stderr
    found = find_events(finished, labels=(), min_score=0.0, limit=5)
    scores = [each.event.score for each in found]
    assert scores == sorted(scores, reverse=True)
    best = sorted((r["score"] for r in rows(finished, "events")), reverse=True)
    assert scores == best[:5]
    for each in found:
        clip, rate = soundfile.read(clips / f"{each.stem}.flac")
        whole, whole_rate = soundfile.read(each.uri)
        assert rate == whole_rate
        first = round(max(0.0, each.event.onset - 0.25) * rate)
        part = whole[first : round((each.event.offset + 0.25) * rate)]
        assert len(clip) == len(part)
        assert np.abs(clip - part).max() < 1e-4
        onset, offset, label = (clips / f"{each.stem}.txt").read_text().split("\t")
        assert label.strip() == each.event.label
        assert float(offset) - float(onset) == pytest.approx(each.event.duration)
        assert first / rate + float(onset) == pytest.approx(each.event.onset, abs=1e-4)
    table = (clips / "clips.selections.txt").read_text().splitlines()
    assert [line.split("\t")[-1] for line in table[1:]] == [e.uri for e in found]


def test_a_recording_that_has_changed_is_not_cut(tmp_path, run_corpus, run_command):
    recordings = write_corpus(tmp_path / "in", 3, seconds=(8, 9), n_broken=0)
    out = tmp_path / "out"
    assert run_corpus(recordings, "-o", out, "--threshold", "0.01").returncode == 0
    assert rows(out, "events")
    for path in recordings.rglob("*.*"):
        path.write_bytes(path.read_bytes() + b"more")
    run = run_command("search", out, "-o", tmp_path / "clips")
    assert run.returncode == 2
    assert "has changed or does not exist any more" in run.stderr


def test_clips_are_cut_of_recordings_with_any_name_in_folders_with_any_name(
    tmp_path, run_corpus, run_command
):
    recordings = write_corpus(tmp_path / "in", 3, seconds=(8, 9), n_broken=0)
    for path in sorted(recordings.rglob("*.*")):
        path.rename(path.with_name(os.fsdecode(b"\xff\n\x1b ") + path.name))
    out, clips = tmp_path / "out", tmp_path / os.fsdecode(b"clips \xfe")
    assert run_corpus(recordings, "-o", out, "--threshold", "0.01").returncode == 0
    run = run_command("search", out, "-o", clips)
    assert run.returncode == 0, run.stderr
    assert len(list(clips.glob("*.flac"))) == len(rows(out, "events")) > 0


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (soundfile.LibsndfileError(7), "{uri}: cannot be cut ("),
        (OSError(5, "Input/output error", "name.wav"), "name.wav: input/output error"),
        (ValueError("name.wav: has changed"), "name.wav: has changed"),
    ],
    ids=["decoder", "system", "recording"],
)
def test_a_recording_that_breaks_while_it_is_read_costs_its_own_clips(
    finished, tmp_path, monkeypatch, capsys, fault, message
):
    cut, bad = search._cut, find_events(finished, labels=(), min_score=0, limit=1)[0]

    def broken(path, found, *rest):
        if found.uri == bad.uri:
            raise fault
        cut(path, found, *rest)

    monkeypatch.setattr(search, "_cut", broken)
    how = {"labels": None, "min_score": 0.0, "context": 0.0, "limit": 30}
    assert search.search_events(finished, tmp_path / "clips", **how) == 1
    error, result = capsys.readouterr().err.splitlines()
    assert error.startswith(f"streamsed: error: {message.format(uri=bad.uri)}")
    assert "1 failed" in result


@pytest.mark.parametrize("n", ["0", "-1", "99999999999"])
def test_nobody_starts_workers_without_number(finished, run_command, n):
    run = run_command("run", finished, "-o", finished, "--workers", n)
    assert run.returncode == 2
    (line,) = run.stderr.splitlines()
    assert line.endswith(f"--workers must be from 1 to 1024, not {n}")


def test_a_forecast_knows_the_hours_and_leaves_only_the_listing(tmp_path, run_corpus):
    recordings = write_corpus(tmp_path / "in", 40, seconds=(0.5, 1.5), n_broken=4)
    out = tmp_path / "out"
    run = run_corpus(recordings, "-o", out, "--dry-run")
    assert run.returncode == 0, run.stderr
    words = dict(line.split(maxsplit=1) for line in run.stdout.splitlines())
    assert words["files"].startswith("40; 20 sampled, ")
    seconds = sum(
        soundfile.info(path).duration for path in recordings.rglob("[0-9]*.*")
    )
    assert seconds / 3600 < 0.05  # printed with one digit
    assert float(words["audio"].split()[0]) == pytest.approx(seconds / 3600, abs=0.06)
    assert {path.name for path in out.iterdir()} == {"manifest.parquet", "locks"}
    assert duckdb.sql(f"from '{out}/manifest.parquet'").fetchall()
