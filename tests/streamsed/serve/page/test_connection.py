"""Who opens connections and sends little or nothing does not lock anybody out."""

import contextlib
import socket
import time

import pytest
from small_home import PATIENCE, SmallHome, until

from streamsed.serve.page import connection as connection_module
from streamsed.serve.page import stream as stream_module

HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
LOGIN = b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"


@pytest.fixture
def home(tmp_path):
    with SmallHome(tmp_path) as home:
        yield home


@contextlib.contextmanager
def clients(home, number):
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(
                socket.create_connection(("127.0.0.1", home.port), PATIENCE)
            )
            for _ in range(number)
        ]


def rest_of(client):
    """Return what comes until the server closes the connection."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while part := client.recv(65536):
            found += part
    return found


def is_refused(client, part):
    """Send a part of a request, and return whether the connection is closed."""
    try:
        client.sendall(part)
    except ConnectionError:
        return True
    return False


@pytest.mark.parametrize("start", [b"", HEAD, LOGIN + b"token=a"])
def test_a_request_that_does_not_arrive_is_closed(home, monkeypatch, start):
    monkeypatch.setattr(connection_module, "REQUEST_WITHIN", 0.3)
    with clients(home, 1) as [client]:
        client.sendall(start)
        assert rest_of(client) == b""


def test_sending_a_byte_now_and_then_does_not_extend_the_time(home, monkeypatch):
    monkeypatch.setattr(connection_module, "REQUEST_WITHIN", 0.5)
    with clients(home, 1) as [client]:
        client.sendall(HEAD)
        until(lambda: is_refused(client, b"X"))


def test_a_stream_lasts_longer_than_a_request_may_take(home, monkeypatch):
    monkeypatch.setattr(connection_module, "REQUEST_WITHIN", 0.3)
    with clients(home, 1) as [client]:
        client.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        received, end = b"", time.monotonic() + PATIENCE
        while received.count(b"event: sources") < 3 and time.monotonic() < end:
            part = client.recv(65536)
            assert part, "the stream was closed"
            received += part
        assert received.count(b"event: sources") >= 3


def test_one_address_cannot_take_all_connections(home, monkeypatch):
    monkeypatch.setattr(connection_module, "MAX_OF_ADDRESS", 5)
    until(lambda: not home.server._server.server_state.connections)
    with clients(home, 5) as kept, clients(home, 3) as refused:
        assert [rest_of(client) for client in refused] == [b"", b"", b""]
        for client in kept:
            client.sendall(HEAD + b"Connection: close\r\n\r\n")
            assert rest_of(client).startswith(b"HTTP/1.1 200 ")


def test_who_leaves_in_the_middle_of_a_request_writes_nothing_to_the_journal(
    tmp_path, caplog
):
    token = tmp_path / "token"
    token.write_text("a token of sixteen")
    token.chmod(0o600)
    with SmallHome(tmp_path, token_file=token) as home:
        with clients(home, 3) as leaving:
            for client in leaving:
                client.sendall(LOGIN)
            until(lambda: len(home.server._server.server_state.tasks) == 3)
        until(lambda: not home.server._server.server_state.tasks)
        assert home.get("/healthz")[0] == 200
    assert not caplog.records


def test_streams_asked_for_at_once_are_limited_as_others_are(home, monkeypatch):
    monkeypatch.setattr(stream_module, "MAX_VIEWERS", 2)
    with clients(home, 10) as asking:
        for client in asking:
            client.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        statuses = sorted(client.recv(12) for client in asking)
        assert statuses == [b"HTTP/1.1 200"] * 2 + [b"HTTP/1.1 503"] * 8
    until(lambda: not home.server.n_viewers)
