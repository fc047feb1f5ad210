import pytest
from environment import ENVIRONMENT

from streamsed.audio.devices import NO_PORTAUDIO


def findings(done):
    """What each line says, by the thing it is about."""
    assert done.stderr == ""
    found = {}
    for line in done.stdout.splitlines():
        mark, what, says = line[:4].strip(), *line[6:].split(": ", 1)
        found[what] = mark, says
    return found


@pytest.mark.live
def test_all_is_well_but_the_silence(streamsed, model_path, mic):
    environment = ENVIRONMENT | mic.environment
    done = streamsed("doctor", "-d", "pulse", "-m", model_path, env=environment)
    found = findings(done)
    well = {what for what, (mark, _) in found.items() if mark == "ok"}
    assert well >= {"core", "PortAudio", "devices", "pulse", "model"}
    assert found["devices"][1] == "0 pulse; 1 default"
    assert " 44100," in found["pulse"][1]
    assert "tiny, 2 labels, on c" in found["model"][1]
    assert found["speed"][1].startswith("step ")
    assert found["sound"] == (
        "FAIL",
        "only zeros arrived; is the microphone muted, or access not allowed?",
    )
    assert done.returncode == 1


def test_every_failure_ends_with_its_remedy(streamsed, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import ctypes.util as u; found = u.find_library\n"
        "u.find_library = lambda name: None if 'portaudio' in name else found(name)\n"
    )
    environment = ENVIRONMENT | {"PYTHONPATH": str(tmp_path), "PATH": str(tmp_path)}
    done = streamsed("doctor", "-m", "nowhere.pt", env=environment)
    found = findings(done)
    assert found["microphone"] == ("FAIL", NO_PORTAUDIO)
    assert found["model"][0] == "FAIL"
    assert "neither a shipped model" in found["model"][1]
    assert found["core"][0] == "ok"
    assert found["ffmpeg"][0] == "ok"  # only network sources need it
    assert "apt install ffmpeg" in found["ffmpeg"][1]
    assert done.returncode == 1
