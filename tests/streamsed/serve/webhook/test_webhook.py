"""Messages to an address: each is taken once, whatever its receiver goes through."""

import base64
import hashlib
import hmac
import json
import socket
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from certificates import make_certificates
from ports import free_port
from serve_records import Sounds, send

from streamsed.serve.rules import RuledSink, Rules
from streamsed.serve.settings import RuleSettings, WebhookSettings
from streamsed.serve.webhook import post as post_module
from streamsed.serve.webhook import sink as webhook_sink
from streamsed.serve.webhook.post import MAX_WAIT, post
from streamsed.serve.webhook.signature import read_secret, signature
from streamsed.serve.webhook.sink import MAX_WAITING, WebhookSink


class Receiver:
    """Takes messages, after the answers of a script."""

    def __init__(self, *script, port=0):
        self.script = list(script)  # statuses, or "hang", "cut"
        self.attempts, self.taken = [], []
        self.condition = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.answer(self, body)

            def log_message(self, *_):
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        self.released = threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}/hook?token=s3cret"

    def answer(self, handler, body):
        with self.condition:
            step = self.script.pop(0) if self.script else 204
            self.attempts.append((handler.path, dict(handler.headers), body))
            if step in (200, 204):
                self.taken.append(json.loads(body))
            self.condition.notify_all()
        if step == "late":
            self.released.wait(60)
            step = 204
            with self.condition:
                self.taken.append(json.loads(body))
                self.condition.notify_all()
        if step == "hang":
            self.released.wait(60)
        elif step == "cut":
            handler.connection.shutdown(socket.SHUT_RDWR)
        else:
            handler.send_response(step)
            if step == 302:
                handler.send_header("Location", "http://127.0.0.1:1/elsewhere")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
        handler.close_connection = True

    def wait(self, n_taken):
        with self.condition:
            assert self.condition.wait_for(lambda: len(self.taken) >= n_taken, 60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.released.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def until(holds, seconds=60.0):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def hook(url, **settings):
    first_wait = settings.pop("first_wait", 0.01)
    return WebhookSink(
        WebhookSettings(url, **settings), version="1.2", first_wait=first_wait
    )


def test_the_states_asked_for_are_posted_as_the_records_they_are():
    with Receiver() as receiver:
        sink, sounds = hook(receiver.url), Sounds()
        lifecycle = sounds.lifecycle(1, 1.0, 2.0)
        send(sink, sounds.status(1.0), *lifecycle)
        receiver.wait(2)
        sink.close()
        assert receiver.taken == [lifecycle[0][0], lifecycle[2][0]]
        path, headers, _ = receiver.attempts[0]
        assert path == "/hook?token=s3cret"
        assert headers["webhook-id"] == "0a0a0a0a-1-opened"
        assert headers["Content-Type"] == "application/json"
        assert headers["User-Agent"] == "streamsed/1.2"
        assert "webhook-signature" not in headers
        assert (sink.failures(), sink.notices()) == ({}, [])


def test_only_sources_and_labels_asked_for_are_posted():
    with Receiver() as receiver:
        sink = hook(receiver.url, sources=("garden",), labels=("Dog",), on=("closed",))
        send(sink, *Sounds("kitchen").lifecycle(1, 1.0, 2.0))
        send(sink, *Sounds("garden").lifecycle(2, 1.0, 2.0, "Cat"))
        send(sink, *Sounds("garden").lifecycle(3, 1.0, 2.0, "Dog"))
        receiver.wait(1)
        sink.close()
        assert [record["id"] for record in receiver.taken] == [3]


def test_a_signature_is_that_of_the_convention(tmp_path):
    """The example of the convention's own text."""
    secret = tmp_path / "secret"
    secret.write_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")
    body, name = b'{"test": 2432232314}', "msg_p5jXN8AQM9LWM0D4loKWxJek"
    signed = signature(read_secret(secret), name, 1614265330, body)
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_receiver_can_check_what_it_gets(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("pass phrase\n")
    with Receiver(500) as receiver:
        sink = hook(receiver.url, secret_file=secret, on=("closed",))
        send(sink, *Sounds().lifecycle(1, 1.0, 2.0))
        receiver.wait(1)
        sink.close()
    for _, headers, body in receiver.attempts:
        assert abs(int(headers["webhook-timestamp"]) - time.time()) < 3600
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode()
        digest = hmac.new(b"pass phrase", signed + body, hashlib.sha256).digest()
        expected = f"v1,{base64.b64encode(digest).decode()}"
        assert headers["webhook-signature"] == expected


@pytest.mark.parametrize("text", ["", "\n", "whsec_\n", "whsec_no base64!\n"])
def test_a_secret_that_is_none_is_refused(tmp_path, text):
    secret = tmp_path / "secret"
    secret.write_text(text)
    with pytest.raises(
        ValueError, match=r"secret: (the first line is empty|not base64 after whsec_)"
    ):
        hook("http://127.0.0.1:1/", secret_file=secret)


def test_what_fails_is_tried_again_in_order_under_the_same_id():
    with Receiver(500, "cut", 429, 408, 204, 503) as receiver:
        sink = hook(receiver.url, on=("closed",))
        for number in range(1, 6):
            send(sink, *Sounds().lifecycle(number, 1.0 * number, number + 0.5))
        receiver.wait(5)
        sink.close()
        assert [record["id"] for record in receiver.taken] == [1, 2, 3, 4, 5]
        ids = [headers["webhook-id"] for _, headers, _ in receiver.attempts]
        assert ids[:5] == ["0a0a0a0a-1-closed"] * 5
        assert ids[5:7] == ["0a0a0a0a-2-closed"] * 2
        assert sink.failures()["failed"] == 5
        assert sink.failures()["lost"] == 0


def test_a_message_that_is_refused_is_lost_and_the_next_continues():
    with Receiver(404, 204, 302, 204) as receiver:
        sink = hook(receiver.url, on=("closed",))
        for number in range(1, 5):
            send(sink, *Sounds().lifecycle(number, 1.0 * number, number + 0.5))
        receiver.wait(2)
        sink.close()
        assert [record["id"] for record in receiver.taken] == [2, 4]
        assert sink.failures()["lost"] == 2
        (notice,) = sink.notices()
        place = receiver.url.split("/")[2]
        assert notice.startswith(
            f"webhook {place}: 2 messages were lost (HTTP 302, a red"
        )
        assert "s3cret" not in notice + sink.name


def test_a_receiver_that_comes_late_gets_everything():
    port = free_port()
    sink = hook(f"http://127.0.0.1:{port}/", on=("closed",))
    for number in range(1, 21):
        send(sink, *Sounds().lifecycle(number, 1.0 * number, number + 0.5))
    until(lambda: sink.failures().get("failed", 0) >= 2)
    place = f"webhook 127.0.0.1:{port}"
    assert sink.notices() == [f"{place}: Connection refused; trying again"]
    with Receiver(port=port) as receiver:
        receiver.wait(20)
        until(lambda: sink.notices() == [f"{place}: works again"])
        sink.close()
        assert [record["id"] for record in receiver.taken] == list(range(1, 21))


def test_a_receiver_that_hangs_blocks_nothing():
    with Receiver("hang") as receiver, Receiver() as other:
        stuck = hook(receiver.url, timeout=600.0, on=("closed",))
        sink = hook(other.url, on=("closed",))
        lifecycle = Sounds().lifecycle(1, 1.0, 2.0)
        send(stuck, *lifecycle)
        send(sink, *lifecycle)
        other.wait(1)
        start = time.monotonic()
        stuck.close()
        assert time.monotonic() - start < 20  # less than two seconds on an idle machine
        assert stuck.failures()["lost"] == 1
        sink.close()


def test_a_time_out_is_a_failure_like_another():
    with Receiver("hang") as receiver:
        sink = hook(receiver.url, timeout=0.2, on=("closed",))
        send(sink, *Sounds().lifecycle(1, 1.0, 2.0))
        receiver.wait(1)
        assert sink.failures()["reason"] == "no answer in time"
        sink.close()


def test_what_waits_is_bounded_and_the_oldest_goes():
    sink = hook(f"http://127.0.0.1:{free_port()}/", first_wait=600.0)
    for number in range(1, MAX_WAITING + 501):
        send(sink, Sounds().event("closed", number, 1.0 * number, number + 0.5))
    assert sink.failures()["lost"] == 500
    assert sink.failures()["waiting"] == MAX_WAITING
    sink.close()
    assert sink.failures()["lost"] == MAX_WAITING + 500


def test_a_message_that_was_dropped_while_it_was_posted_takes_no_other_with_it(
    monkeypatch,
):
    monkeypatch.setattr(webhook_sink, "MAX_WAITING", 5)
    with Receiver("late") as receiver:
        sink = hook(receiver.url, on=("closed",))
        send(sink, *Sounds().lifecycle(1, 1.0, 2.0))
        until(lambda: receiver.attempts)
        for number in range(2, 8):
            send(sink, *Sounds().lifecycle(number, 1.0 * number, number + 0.5))
        receiver.released.set()
        receiver.wait(6)
        sink.close()
        assert [record["id"] for record in receiver.taken] == [1, 3, 4, 5, 6, 7]


def test_an_end_sends_what_waits_first():
    with Receiver() as receiver:
        sink = hook(receiver.url)
        send(sink, *Sounds().lifecycle(1, 1.0, 2.0))
        sink.close()
        assert len(receiver.taken) == 2
        assert sink.failures() == {}


@pytest.mark.parametrize(
    ("header", "wait"),
    [("7", 7.0), ("999999999", MAX_WAIT), ("Wed, 21 Oct 2026 07:28:00 GMT", 0.0)],
)
def test_a_receiver_may_ask_for_time_within_reason(header, wait):
    answer = f"HTTP/1.1 503 Busy\r\nRetry-After: {header}\r\nContent-Length: 0\r\n\r\n"
    assert raw_answer(answer.encode()).wait == wait


@pytest.mark.parametrize(
    "garbage",
    [b"", b"\x00" * 100, b"HTTP/1.1 abc\r\n\r\n", b"SSH-2.0-x\r\n", b"H" * 70000],
)
def test_an_answer_that_is_no_http_is_a_failure_to_try_again(garbage):
    answer = raw_answer(garbage)
    assert (answer.is_accepted, answer.try_again) == (False, True)
    assert answer.reason


def raw_answer(data):
    """What an attempt makes of some bytes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(data)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        answer = post(url, b"{}", {}, timeout=30)
        thread.join()
    return answer


def test_a_login_in_the_address_is_used_and_not_shown():
    with Receiver() as receiver:
        url = receiver.url.replace("http://", "http://me:p%40ss@")
        sink = hook(url, on=("closed",))
        send(sink, *Sounds().lifecycle(1, 1.0, 2.0))
        receiver.wait(1)
        sink.close()
        login = base64.b64encode(b"me:p@ss").decode()
        assert receiver.attempts[0][1]["Authorization"] == f"Basic {login}"
        assert "me" not in sink.name.removeprefix("webhook")


def test_a_certificate_that_is_not_trusted_is_refused(tmp_path):
    make_certificates(tmp_path)
    with Receiver() as receiver:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
        server = receiver.server
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None
        url = receiver.url.replace("http://", "https://")
        answer = post(url, b"{}", {}, timeout=30)
    assert (answer.is_accepted, answer.try_again) == (False, True)
    assert "certificate" in answer.reason
    assert receiver.taken == []


def test_rules_keep_messages_back_and_give_them_their_name():
    with Receiver() as receiver:
        rules = Rules([RuleSettings("twice", label="Dog", times=2, minutes=1)])
        sink = RuledSink(hook(receiver.url), rules)
        sounds = Sounds()
        send(sink, *sounds.lifecycle(1, 1.0, 2.0), *sounds.lifecycle(2, 3.0, 4.0))
        send(sink, *sounds.lifecycle(3, 5.0, 6.0, "Cat"))
        send(sink, sounds.status(7.0, armed=False), *sounds.lifecycle(4, 8.0, 9.0))
        send(sink, sounds.status(10.0), *sounds.lifecycle(5, 11.0, 12.0))
        receiver.wait(4)
        sink.settle()
        sink.close()
        got = [(r["id"], r["state"], r["rule"]) for r in receiver.taken]
        assert got == [(n, s, "twice") for n in (2, 5) for s in ("opened", "closed")]


@pytest.mark.parametrize("host", ["a b", "a..b", "exa%20mple"])
def test_an_address_that_cannot_be_used_is_reported_and_ends_nothing(host):
    sink = WebhookSink(WebhookSettings(f"http://{host}/hook"))
    send(sink, *Sounds().lifecycle(1, 1.0, 2.0))
    end = time.monotonic() + 60
    while sink.failures().get("lost", 0) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    failures = sink.failures()
    assert (failures["lost"], failures["waiting"]) == (2, 0)
    assert failures["reason"].startswith("the address cannot be used")
    sink.close()


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://[::1]/hook", ("::1", 80)),
        ("https://[fe80::1%25eth0]/hook", ("fe80::1%eth0", 443)),
        ("http://[::1]:8000/hook", ("::1", 8000)),
        ("https://example.org/hook", ("example.org", 443)),
    ],
)
def test_a_receiver_may_have_an_address_of_ipv6(url, place):
    connection = post_module._connection(url, 1.0)
    assert (connection.host, connection.port) == place
