import pytest
from environment import ENVIRONMENT
from listening import Listening

from streamsed.live.waiting import wait_for


def test_what_does_not_exist_is_waited_for_and_said_once(monkeypatch):
    said, answers = [], [OSError("busy"), ValueError("gone"), ValueError("gone"), "mic"]

    def find():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr("streamsed.live.waiting.portaudio", lambda: None)
    monkeypatch.setattr("streamsed.live.waiting.rescan", lambda: None)
    monkeypatch.setattr("streamsed.live.waiting.print_message", said.append)
    assert wait_for(find, retry=0.01) == "mic"
    assert said == [
        "waiting for a microphone: busy",
        "waiting for a microphone: gone",
    ]


def test_a_sound_system_that_does_not_answer_is_waited_for(monkeypatch):
    answers = [OSError("the sound system does not answer"), None]
    finds = [ValueError("no microphone"), "mic"]

    def rescan():
        if error := answers.pop(0):
            raise error

    def find():
        if isinstance(answer := finds.pop(0), Exception):
            raise answer
        return answer

    said = []
    monkeypatch.setattr("streamsed.live.waiting.portaudio", lambda: None)
    monkeypatch.setattr("streamsed.live.waiting.rescan", rescan)
    monkeypatch.setattr("streamsed.live.waiting.print_message", said.append)
    assert wait_for(find, retry=0.01) == "mic"
    assert said[-1] == "waiting for a microphone: the sound system does not answer"


def test_without_portaudio_nothing_is_waited_for(monkeypatch):
    def missing():
        raise OSError("install PortAudio")

    monkeypatch.setattr("streamsed.live.waiting.portaudio", missing)
    with pytest.raises(OSError, match="install PortAudio"):
        wait_for(lambda: "never asked")


@pytest.mark.live
def test_a_service_starts_before_its_microphone_is_there(mic, model_path):
    options = ["--device", "attic", "--wait", "--step", 0.5, "--model", model_path]
    environment = ENVIRONMENT | mic.environment
    with Listening(*options, environment=environment) as one:
        one.wait_for(lambda: "waiting for a microphone" in one.errors, seconds=60)
        assert one.records == []
        with mic.second("attic"):
            one.wait_for(lambda: one.of("listening"), seconds=60)
            assert "Null" in one.of("started")[0]["source"]
            assert one.end() == 0
        assert one.errors.count("waiting for a microphone") == 1
        assert "attic" in one.errors
