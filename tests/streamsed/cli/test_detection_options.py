"""Options of detection, model and engine: declared once, the same in every command."""

import inspect
from typing import Annotated

import pytest
import soundfile
import typer
from sounds import RATE, silence
from typer.main import get_command
from typer.testing import CliRunner

from streamsed.cli.app import app
from streamsed.cli.options import (
    detection_settings,
    engine_settings,
    model_choice,
    with_options,
)
from streamsed.cli.settings_file import SECTIONS, command_of
from streamsed.config import FrontendConfig, PostConfig, StreamConfig
from streamsed.detection_settings import DetectionSettings

LABELS = ("Speech", "Dog")
OPTIONS = inspect.signature(detection_settings).parameters


@pytest.mark.parametrize("section", SECTIONS)
def test_a_command_has_all_options_of_detection_one_after_another(section):
    parameters = command_of(section, get_command(app).commands).params
    names = [parameter.name for parameter in parameters]
    first = names.index("sensitivity")
    shown = parameters[first : first + len(OPTIONS)]
    assert [each.name for each in shown] == list(OPTIONS)
    for each in shown:
        assert each.opts == ["--" + each.name.replace("_", "-")]
        assert each.default == OPTIONS[each.name].default
        assert each.help == OPTIONS[each.name].annotation.__metadata__[0].help
    assert "detection" not in names


def run(*words):
    """Return what a command with another option on either side is called with."""
    calls = []
    one = typer.Typer()

    @one.command()
    @with_options(detection=detection_settings)
    def command(
        path: str,
        *,
        before: Annotated[int, typer.Option()] = 1,
        detection: DetectionSettings,
        after: Annotated[str, typer.Option()] = "z",
    ) -> int:
        calls.append((path, before, detection, after))
        return 0

    result = CliRunner().invoke(one, words)
    assert result.exit_code == 0, result.output
    (call,) = calls
    return call


def test_a_command_is_called_with_the_settings_in_place_of_the_options():
    words = ["--threshold", "Dog=0.6", "--min-gap", "0.5", "--sensitivity", "low"]
    words += ["--before", "3", "--ignore", "Cat", "--after", "a"]
    path, before, detection, after = run("a.wav", *words)
    assert (path, before, after) == ("a.wav", 3, "a")
    assert detection == DetectionSettings(
        post={"onset_threshold": {"Dog": 0.6}, "min_gap": 0.5},
        sensitivity="low",
        only=[],
        ignore=["Cat"],
    )


def test_without_options_a_command_gets_the_defaults():
    assert run("a.wav") == ("a.wav", 1, DetectionSettings(only=[], ignore=[]), "z")


DETECTED_BY = {
    "file": "streamsed.recordings.job.Detector",
    "listen": "streamsed.live.job.Detector",
    "corpus": "streamsed.corpus.run.WorkSettings",
}
"""What a command hands its settings to, for every recording or source."""


@pytest.mark.parametrize("name", DETECTED_BY)
def test_what_scores_become_is_as_the_options_say(
    name, model_path, tmp_path, monkeypatch
):
    soundfile.write(tmp_path / "a.wav", silence(1.0), RATE)
    seen = []

    def detect(*_, stream, post, **__):
        seen.append((stream, post))
        raise ValueError("enough")

    monkeypatch.setattr(DETECTED_BY[name], detect)
    words = [name, "--model", model_path, "--step", 0.5, "--settle", 4]
    words += {
        "file": [tmp_path / "a.wav", "--device", "cpu", "--latency", 2],
        "listen": ["--file", tmp_path / "a.wav", "--latency", 2],
        "corpus": [tmp_path / "a.wav", "--output", tmp_path / "out", "--workers", 1],
    }[name]
    words += ["--threshold", "Dog=0.6", "--rise-threshold", 0.2, "--min-gap", 0.5]
    words += ["--offset-threshold", 0.4, "--min-duration", 0.7, "--confirm", 0.25]
    words += ["--smoothing", "Dog=1.5", "--onset-search", "Speech=0.5"]
    CliRunner().invoke(app, [str(word) for word in words])
    ((stream, post),) = seen
    latency = 4.0 if name == "corpus" else 2.0
    assert stream == StreamConfig(step=0.5, latency=latency, settle=4.0)
    assert post == PostConfig(
        onset_threshold={"Speech": 0.5, "Dog": 0.6},
        offset_threshold=dict.fromkeys(LABELS, 0.4),
        rise_threshold=dict.fromkeys(LABELS, 0.2),
        min_gap=dict.fromkeys(LABELS, 0.5),
        min_duration=dict.fromkeys(LABELS, 0.95),
        smoothing={"Speech": 0.0, "Dog": 1.5},
        onset_search={"Speech": 0.5, "Dog": 0.0},
    )


@pytest.mark.parametrize(
    ("options", "source"),
    [
        (["--file", "a.wav"], "FileSource"),
        (["--stdin"], "PcmSource"),
        ([], "Microphone"),
    ],
)
def test_a_live_source_is_read_at_the_rate_of_the_model(
    make_model, tmp_path, monkeypatch, options, source
):
    grid = FrontendConfig(sample_rate=22050, fmax=11025.0)
    path = make_model(tmp_path / "m.pt", changes={"frontend": grid.to_dict()})
    rates = []

    def opened(*_, sample_rate, **__):
        rates.append(sample_rate)
        raise ValueError("enough")

    monkeypatch.setattr(f"streamsed.live.job.{source}", opened)
    monkeypatch.setattr("streamsed.live.job.find_device", lambda _: None)
    words = ["listen", *options, "--model", str(path), "--log", str(tmp_path / "log")]
    CliRunner().invoke(app, words)
    assert rates == [22050]


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("listen", (model_choice, engine_settings)),
        ("file", (model_choice, engine_settings)),
        ("calibrate", (model_choice, engine_settings)),
        ("corpus", (model_choice,)),
        ("bench", (engine_settings,)),
        ("info", (engine_settings,)),
    ],
)
def test_a_command_has_the_options_of_model_and_engine_one_after_another(name, groups):
    parameters = command_of(name, get_command(app).commands).params
    names = [each.name for each in parameters]
    for group in groups:
        options = inspect.signature(group).parameters
        first = names.index(next(iter(options)))
        shown = parameters[first : first + len(options)]
        assert [(each.name, each.default, each.help) for each in shown] == [
            (option, each.default, each.annotation.__metadata__[0].help)
            for option, each in options.items()
        ]


def test_a_number_of_threads_that_no_engine_starts_is_refused():
    with pytest.raises(ValueError, match=r"--threads must be from 1 to 1024, not 2000"):
        engine_settings(threads=2000)
