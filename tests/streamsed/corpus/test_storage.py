"""Recordings in a store that speaks S3, on loopback, and stores that are not there."""

import pytest
from corpora import rows
from environment import ENVIRONMENT

moto_server = pytest.importorskip("moto.server", reason="needs moto[server]")
s3fs = pytest.importorskip("s3fs", reason="needs s3fs")


@pytest.fixture(scope="module")
def store():
    """A real server, and the environment in which clients find it."""
    server = moto_server.ThreadedMotoServer(
        ip_address="127.0.0.1", port=0, verbose=False
    )
    server.start()
    host, port = server.get_host_and_port()
    yield {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    server.stop()


@pytest.fixture(scope="module")
def bucket(store, recordings):
    """The recordings in a bucket, under their paths."""
    files = s3fs.S3FileSystem(
        key="tests",
        secret="tests",
        endpoint_url=store["AWS_ENDPOINT_URL"],
        skip_instance_cache=True,
    )
    files.mkdir("sounds")
    for path in sorted(recordings.rglob("*")):
        if path.is_file():
            files.put_file(str(path), f"sounds/night/{path.relative_to(recordings)}")
    return "s3://sounds/night"


def without_place(row, root):
    kept = {k: v for k, v in row.items() if k not in ("etag", "error", "size")}
    return kept | {"uri": row["uri"].removeprefix(root)}


def test_a_bucket_gives_the_rows_of_the_folder(
    tmp_path, store, bucket, recordings, finished, run_corpus
):
    out = tmp_path / "out"
    run = run_corpus(bucket, "-o", out, "--scores", env=ENVIRONMENT | store)
    assert run.returncode == 1, run.stderr
    there = [r for r in rows(finished, "files") if "locked.flac" not in r["uri"]]
    assert [without_place(r, bucket) for r in rows(out, "files")] == [
        without_place(r, str(recordings)) for r in there
    ]
    assert [without_place(r, bucket) for r in rows(out, "events")] == [
        without_place(r, str(recordings)) for r in rows(finished, "events")
    ]
    for row in rows(out, "files"):
        if row["status"] == "failed":
            assert row["error"].startswith(row["uri"])
    assert not (out / ".staging").exists() or not any((out / ".staging").rglob("*.*"))
