from pathlib import Path

import pytest

from streamsed.live.outputs import LiveOutputs
from streamsed.live.sinks.clip_folder import ClipFolder
from streamsed.live.sinks.clips import ClipSink
from streamsed.live.sinks.exec_sink import ExecSink
from streamsed.live.sinks.log_file import LogFile


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"exec_on": "open"}, "--exec-on must be one or more of opened, ended, closed"),
        ({"exec_on": ""}, "--exec-on must be one or more of .* not ''"),
        ({"cooldown": -1.0}, "--cooldown must be from 0 .* not -1.0"),
        ({"cooldown": float("nan")}, "--cooldown must be from 0 .* not nan"),
        ({"exec_timeout": 0.0}, "--exec-timeout must be positive"),
        ({"clips_days": 0.0}, "--clips-days must be positive"),
        ({"clips_limit": float("inf")}, "--clips-limit must be positive"),
        ({"log_rotate": "1d"}, "--log-rotate needs --log"),
        ({"log_rotate": "x", "log": Path("a")}, "--log-rotate must be a size or"),
        ({"command": "no-such-program"}, "--exec: no-such-program: no such program"),
        ({"command": "'"}, "not quoted as a shell needs it"),
    ],
)
def test_what_is_wrong_is_named_before_anything_is_opened(settings, words):
    with pytest.raises(ValueError, match=words):
        LiveOutputs(**settings).check()


def test_all_are_opened_and_the_command_waits_for_clips(tmp_path):
    outputs = LiveOutputs(
        log=tmp_path / "new" / "log.jsonl", command="true", save_clips=tmp_path
    )
    outputs.check()
    sinks = outputs.open(44100, None)
    assert [type(sink) for sink in sinks] == [ClipSink, ClipFolder, ExecSink, LogFile]
    clips, _, command, _ = sinks
    assert (tmp_path / "new" / "log.jsonl").is_file()
    assert clips._on_saved == command.on_clip
    for sink in sinks:
        sink.close()
