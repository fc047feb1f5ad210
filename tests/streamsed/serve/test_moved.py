"""Recordings that the sound server moves, by a pactl that is a script."""

import pytest
from serving import wait_for

from streamsed.serve.sources import moved
from streamsed.serve.sources.moved import PlacementWatch

PACTL = """#!/bin/sh
cd "{folder}"
case "$*" in
subscribe) echo >> subscribed; [ -e up ] && exec sleep 600; exit 1 ;;
*source-outputs)
    echo "[{{\\"source\\": $(cat recorded), \\"properties\\": "
    echo "{{\\"application.process.id\\": \\"$PPID\\"}}}}]" ;;
*sources)
    echo '[{{"index": 1, "name": "attic", "description": "The attic"}},'
    echo ' {{"index": 2, "name": "kitchen", "description": "The kitchen"}}]' ;;
esac
"""


@pytest.fixture
def server(tmp_path, monkeypatch):
    program = tmp_path / "pactl"
    program.write_text(PACTL.format(folder=tmp_path))
    program.chmod(0o755)
    (tmp_path / "recorded").write_text("1")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(moved, "RETRY", 0.05)
    return tmp_path


def subscribed(server):
    path = server / "subscribed"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_a_move_after_the_sound_server_was_restarted_is_noticed(server):
    watch = PlacementWatch("attic")
    try:
        wait_for(lambda: subscribed(server) >= 2)
        assert watch.moved_to == ""
        (server / "recorded").write_text("2")
        assert wait_for(lambda: watch.moved_to) == "The kitchen"
    finally:
        watch.close()


def test_a_watch_that_is_closed_starts_nothing_again(server):
    (server / "up").touch()
    watch = PlacementWatch("attic")
    wait_for(lambda: subscribed(server) == 1)
    watch.close()
    assert watch._process.poll() is not None
    watch._closing.wait(0.2)
    assert watch._subscribe("pactl") is None
    assert subscribed(server) == 1
