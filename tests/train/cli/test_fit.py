"""`python -m train fit`: the command that it says is next is one that works."""

import shutil
import sys
from types import SimpleNamespace

import pytest

from train.cli import app as cli
from train.cli import fit as command
from train.config.preset import load_preset
from train.fit.run import RunOptions
from train.mixing.toy_bank import write_bank


@pytest.fixture(scope="module")
def banks(tmp_path_factory):
    """A bank with a manifest, and the same without."""
    folder = tmp_path_factory.mktemp("banks")
    first = write_bank(folder / "first", n_recordings=2)
    second = folder / "second"
    shutil.copytree(first, second)
    (second / "manifest.csv").unlink()
    return first, second


@pytest.fixture
def last_line(monkeypatch, capsys, tmp_path):
    """Run `fit`, but for the training, and return the last line that it prints."""
    for name in ("fit_on_soundbank", "fit_on_scenes", "_fit_on_data"):
        monkeypatch.setattr(command, name, lambda *_, **__: None)
    outcome = SimpleNamespace(lines=lambda: ["80 steps"])
    monkeypatch.setattr(command, "RunOutcome", SimpleNamespace(read=lambda _: outcome))
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        words = ["train", "fit", "--run", "runs/one", *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as caught:
            cli.main()
        out, err = capsys.readouterr()
        assert (caught.value.code, err) == (0, "")
        return out.splitlines()[-1]

    return run


EXPORT = "next: python -m train export runs/one --output one.pt"


def test_a_run_is_measured_on_the_recordings_that_were_kept_apart(last_line, banks):
    first, second = banks
    tuned = "--split validation --tune"
    assert last_line("--soundbank", first) == f"{EXPORT} --soundbank {first} {tuned}"
    both = ["--preset", "default", "--soundbank", first, "--soundbank", first]
    each = f"--soundbank {first} --soundbank {first}"
    assert last_line(*both) == f"{EXPORT} {each} {tuned}"
    assert last_line("--soundbank", second) == EXPORT
    assert last_line(*both[:-1], second) == EXPORT


def test_a_run_on_everything_is_not_measured_on_it(last_line, banks):
    options = ["--preset", "default", "--soundbank", banks[0], "--everything"]
    assert last_line(*options) == EXPORT


def test_a_network_that_cannot_be_exported_has_no_next_command(last_line, banks):
    reason = last_line("--soundbank", banks[0], "--set", "scaling='single'")
    assert reason.startswith("not for export: scaling=single must be one that")
    baseline = last_line("--data", "DESED", "--preset", "baseline_crnn")
    assert (
        baseline == "not for export: system=crnn must be resnet, which the runtime runs"
    )


@pytest.mark.parametrize("on", ["clips", "soundscapes", "scenes"])
def test_what_the_command_is_given_reaches_the_run(banks, monkeypatch, tmp_path, on):
    seen = []

    def fit(config, _data, options, *_, **__):
        seen.append((config, options))
        raise ValueError("enough")

    fits = {"clips": "_fit_on_data", "soundscapes": "fit_on_soundbank"}
    monkeypatch.setattr(command, fits.get(on, "fit_on_scenes"), fit)
    preset = "default" if on == "scenes" else "nec_alpha_0.1"
    words = ["--data", "DESED"] if on == "clips" else ["--soundbank", banks[0]]
    words += ["--preset", preset, "--run", tmp_path / "run", "--set", "alpha=0.3"]
    words += ["--width", 16, "--steps", 7, "--seed", 3, "--threads", 1]
    words += ["--device", "cpu", "--workers", 2, "--save-every", 9]
    monkeypatch.setattr(sys, "argv", ["train", "fit", *map(str, words)])
    with pytest.raises(SystemExit):
        cli.main()
    ((config, options),) = seen
    given = ["alpha=0.3", "network.width=16", "steps=7", "seed=3", "threads=1"]
    assert config == load_preset(preset, given)
    assert options == RunOptions(
        tmp_path / "run", device="cpu", n_workers=2, save_every=9.0
    )
