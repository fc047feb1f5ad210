"""Notifications to systemd: over a real socket, at the right times, and never in the way."""

import os
import socket
import tempfile

import pytest

from streamsed.serve.systemd import READY, WATCHDOG, Supervisor, reloading


def received(listener):
    found = []
    while True:
        try:
            found.append(listener.recv(4096).decode())
        except BlockingIOError:
            return found


@pytest.fixture
def listener():
    """A socket at a path as short as it must be, however long that of the tests is."""
    with (
        tempfile.TemporaryDirectory(dir="/tmp") as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener,
    ):
        address = f"{folder}/notify"
        listener.bind(address)
        listener.setblocking(False)
        yield listener, address


def test_sentences_arrive_as_one_datagram(listener):
    end, address = listener
    Supervisor(lambda: 0, environment={"NOTIFY_SOCKET": address}).notify(
        READY, "STATUS=2"
    )
    assert received(end) == ["READY=1\nSTATUS=2"]


def test_an_abstract_socket_is_written_with_an_at_sign():
    name = f"streamsed-{os.urandom(6).hex()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(f"\0{name}")
        end.setblocking(False)
        Supervisor(lambda: 0, environment={"NOTIFY_SOCKET": f"@{name}"}).notify(READY)
        assert received(end) == [READY]


@pytest.mark.parametrize("address", ["", "/nowhere/at/all", "@nobody", "vsock:2:1"])
def test_nobody_who_listens_is_no_reason_to_stop(address):
    supervisor = Supervisor(lambda: 0, environment={"NOTIFY_SOCKET": address})
    supervisor.notify(READY)
    supervisor.tick()


def test_a_sign_of_life_comes_in_time_and_only_while_work_is_done(listener):
    end, address = listener
    now, done = [0.0], [0]
    environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "30000000"}
    supervisor = Supervisor(
        lambda: done[0], environment=environment, clock=lambda: now[0]
    )
    signs = []
    for second in range(60):
        now[0] = float(second)
        done[0] += second < 40  # then it hangs
        supervisor.tick()
        signs += [second] * len(received(end))
    assert signs == [0, 10, 20, 30, 40]
    assert WATCHDOG == "WATCHDOG=1"


def test_without_a_watchdog_or_for_another_process_no_sign_is_given(listener):
    end, address = listener
    for more in ({}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "x"},
                 {"WATCHDOG_USEC": "9000000", "WATCHDOG_PID": "1"}):  # fmt: skip
        supervisor = Supervisor(
            lambda: 1, environment={"NOTIFY_SOCKET": address} | more
        )
        supervisor.tick()
    assert received(end) == []


def test_a_reload_says_when_it_began_on_the_clock_that_systemd_reads():
    first, second = reloading().split("\n")
    assert first == "RELOADING=1"
    assert int(second.removeprefix("MONOTONIC_USEC=")) > 0
