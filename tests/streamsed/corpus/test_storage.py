"""Recordings in a store that speaks S3, on loopback, and stores that are not there."""

import http.server
import socket
import threading

import pytest
from corpora import rows
from corpus_engine import work
from environment import ENVIRONMENT

from streamsed.corpus.files.storage import Staging, UnreachableError

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


class Moody(http.server.BaseHTTPRequestHandler):
    """Answers as often as requested with an error, and then with bytes."""

    failures = 0
    requests = 0

    def do_HEAD(self):
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()

    def do_GET(self):
        type(self).requests += 1
        if type(self).requests <= type(self).failures:
            self.send_response(503)
            self.end_headers()
            return
        self.send_response(404 if "gone" in self.path else 200)
        self.end_headers()
        self.wfile.write(b"sound")

    def log_message(self, *arguments):
        pass


@pytest.fixture
def moody():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Moody)
    Moody.requests = Moody.failures = 0
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_store_that_fails_now_and_then_is_asked_again(tmp_path, moody):
    Moody.failures = 2
    staging = Staging(tmp_path / "staging", delays=(0.01, 0.01))
    path = staging.fetch(f"{moody}/a.wav", 5, "e")
    assert path.read_bytes() == b"sound"
    assert Moody.requests == 3
    assert staging.fetch(f"{moody}/a.wav", 5, "e") == path
    assert Moody.requests == 3  # it was there
    staging.release(f"{moody}/a.wav", 5, "e")
    assert not path.exists()


def test_a_store_that_keeps_failing_is_unreachable_and_leaves_nothing(tmp_path, moody):
    Moody.failures = 100
    staging = Staging(tmp_path / "staging", delays=(0.01, 0.01))
    with pytest.raises(UnreachableError, match="could not be reached in 3 attempts"):
        staging.fetch(f"{moody}/a.wav", 5, "e")
    assert Moody.requests == 3
    assert not list((tmp_path / "staging").iterdir())


def test_what_does_not_exist_is_not_asked_for_again(tmp_path, moody):
    staging = Staging(tmp_path / "staging", delays=(0.01, 0.01))
    with pytest.raises(OSError, match=r"gone\.wav") as caught:
        staging.fetch(f"{moody}/gone.wav", 5, "e")
    assert not isinstance(caught.value, UnreachableError)
    assert Moody.requests == 1


def test_a_network_that_is_gone_ends_the_run_and_its_files_are_tried_again(
    tmp_path, shipped, recordings
):
    """Ten files in a row; they are `skipped`, which is not `failed`."""
    good = next(recordings.rglob("0001.wav"))
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        lines = [f"http://127.0.0.1:{port}/{i}.wav,9,e" for i in range(15)]
        listed = tmp_path / "list.csv"
        listed.write_text("\n".join(["uri,size,etag", f"{good},,", *lines]) + "\n")
        with pytest.raises(OSError, match="10 files in a row could not be reached"):
            work(shipped, listed, tmp_path / "out")
    status = [row["status"] for row in rows(tmp_path / "out", "files")]
    assert status.count("skipped") == 10
    assert "failed" not in status
    assert {"ok", "empty"} & set(status)
