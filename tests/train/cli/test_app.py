"""`python -m train`: help, and options that are refused before any work."""

import sys

import pytest
import typer
from option_rules import assert_rules_exist

from train.cli import app as cli
from train.cli.options import TrainingOptions
from train.mixing.toy_bank import write_bank


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    return write_bank(tmp_path_factory.mktemp("bank"), seed=0)


@pytest.fixture
def train(monkeypatch, capsys, tmp_path):
    """Run a command in a folder of its own; return its error message."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["train", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        assert caught.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line.removeprefix("train: error: ")

    return run


def test_every_command_has_an_example_and_exit_codes_in_its_help():
    group = typer.main.get_command(cli.app)
    commands = {f"{name} ": each for name, each in group.commands.items()}
    data = commands.pop("data ").commands
    commands |= {f"data {name} ": each for name, each in data.items()}
    assert len(commands) == 11
    for name, command in commands.items():
        assert f"Example: python -m train {name}" in command.epilog
        assert "Exit codes: 0 all done" in command.epilog


def test_the_rules_for_options_name_options_that_exist():
    group = typer.main.get_command(cli.app)
    assert_rules_exist(group.commands, TrainingOptions)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--leave-out", "a.csv"], "--leave-out needs --soundbank and a preset that"),
        (["--everything"], "--everything needs --soundbank and a preset that mixes"),
        (["--compile"], "--compile needs --soundbank and a preset that mixes scenes"),
        (
            ["--preset", "default", "--n-validation", "9"],
            "--n-validation needs --soundbank and a preset without scenes",
        ),
        (
            ["--preset", "default", "--n-validation", "0"],
            "--n-validation needs --soundbank and a preset without scenes",
        ),
        (["--without", "weak"], "--without needs --data"),
        (
            ["--steps", "9", "--minutes", "1"],
            "--steps and --minutes cannot be combined; choose one",
        ),
        (["--device", "gpu"], "--device must be auto, cpu or cuda, not gpu"),
        (["--set", "batch_size=0"], "--set batch_size must be at least 1, not 0"),
        (["--set", "alfa=1"], "--set: unknown setting 'alfa'; did you mean 'alpha'?"),
        (["--width", "1"], "--width must be at least 4, not 1"),
        (
            ["--preset", "baseline_crnn"],
            "system=crnn must be resnet to train on a soundbank, which has no weak,",
        ),
        (
            ["--preset", "default", "--set", "system='crnn'"],
            "system=crnn must be resnet to train on a soundbank, which has no weak,",
        ),
        (["--run", "file"], "--run file: not a folder; name another"),
        (["--seed", "-1"], "Invalid value for '--seed'"),
    ],
)
def test_fit_names_the_option_before_any_work(train, bank, tmp_path, options, message):
    (tmp_path / "file").touch()
    assert train("fit", "--run", "r", "--soundbank", bank, *options).startswith(message)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["export", "r", "--output", "m.pt", "--split", "a"], "--split needs --soundb"),
        (
            ["export", "r", "--output", "m.pt", "--leave-out", "a.csv"],
            "--leave-out needs --soundbank",
        ),
        (["export", "r", "--output", "m.pt", "--name", " "], "--name must not be em"),
        (["table1", "--lists", "a"], "--lists needs --soundbank"),
        (
            ["table1", "--data", "a", "--soundbank", "b"],
            "--data and --soundbank cannot be combined; choose one",
        ),
        (
            ["table1", "--soundbank", "b", "--without", "weak"],
            "--soundbank and --without cannot be combined; choose one",
        ),
        (["table1", "--demo", "--without", "weak"], "--without needs --data"),
        (
            [
                "ablations",
                "--data",
                "a",
                "--run",
                "r",
                "--only",
                "report",
                "--set-baseline",
                "steps=9",
            ],
            "--set-baseline needs --only baseline",
        ),
        (["export", "r", "--output", "m.pt", "--n", "9"], "--n needs --soundbank"),
        (
            ["export", "r", "--output", "m.pt", "--last", "--ensemble"],
            "--last and --ensemble cannot be combined; choose one",
        ),
        (
            ["export", __file__, "--output", "m.pt", "--name", "a"],
            f"--name needs the folder of a run, not {__file__}",
        ),
        (
            ["adapt", "default", "--soundbank", "a", "--leave-out", "b.csv"],
            "--leave-out needs --rehearse or --measure",
        ),
        (
            ["adapt", "default", "--soundbank", "a", "--steps", "1", "--minutes", "1"],
            "--steps and --minutes cannot be combined; choose one",
        ),
        (
            ["adapt", "default", "--soundbank", "a", "--resume"],
            "--run runs/my: no run to continue; leave out --resume to begin one",
        ),
        (
            ["adapt", "default", "--soundbank", "a", "--output", "."],
            "--output .: a folder; name a file",
        ),
        (
            ["tune", "r", "--soundbank", "a", "--output", "."],
            "--output .: a folder; name a file",
        ),
        (
            ["card", "m", "--soundbank", "a", "--blueprint", "b", "--json", "."],
            "--json .: a folder; name a file",
        ),
        (
            ["evaluate", "default", "--continuous", "--soundbank", "a", "--json", "."],
            "--json .: a folder; name a file",
        ),
        (
            [
                "evaluate",
                "default",
                "--continuous",
                "--soundbank",
                "a",
                "--json",
                f"{__file__}/numbers.json",
            ],
            f"--json {__file__}/numbers.json: {__file__} is a file, not a folder",
        ),
        (["evaluate", "--soundbank", "a"], "--soundbank needs --continuous"),
        (["evaluate", "--seed", "1"], "--seed needs --continuous"),
        (["evaluate", "--even-labels"], "--even-labels needs --continuous"),
        (["evaluate", "--device", "cpu"], "--device needs --model or MODEL"),
        (["evaluate", "--audio", "a"], "--audio needs --model or MODEL"),
        (
            ["evaluate", "--durations", "a"],
            "--durations needs --scores, --operating-points, --model or MODEL",
        ),
        (["evaluate", "--operating-points", "a"], "--operating-points needs --durati"),
        (
            ["evaluate", "default", "--continuous", "--scores", "a"],
            "--continuous and --scores cannot be combined; choose one",
        ),
        (
            [
                "evaluate",
                "--reference",
                "r",
                "--estimated",
                "e",
                "--scores",
                "s",
                "--operating-points",
                "p",
                "--durations",
                "d",
            ],
            "--scores and --operating-points cannot be combined; choose one",
        ),
        (
            ["evaluate", "default", "--continuous", "--reference", "a.tsv"],
            "--continuous and --reference cannot be combined; choose one",
        ),
        (
            ["tune", "nowhere", "--output", "p.json", "--soundbank", "a"],
            (
                "nowhere: no trained run (last.pt is missing); train it with "
                "`python -m train fit --run nowhere`"
            ),
        ),
    ],
)
def test_an_option_without_effect_or_a_missing_run_is_refused(
    train, arguments, message
):
    assert train(*arguments).startswith(message)


def test_a_list_without_clips_is_refused(train, bank, tmp_path):
    (tmp_path / "none.tsv").write_text("filename\tonset\toffset\tevent_label\n")
    given = ("--soundbank", bank, "--blueprint", "none.tsv")
    for command in (("soundscapes", "out"), ("fit", "--run", "r")):
        message = train(*command, *given)
        assert message == "--blueprint none.tsv: the list has no clips"


def test_a_list_that_leaves_nothing_out_is_refused(train, bank, tmp_path):
    table = tmp_path / "audit.csv"
    table.write_text("path,decision\nbank/foreground/Humming/00.flac,drop\n")
    given = ("--soundbank", bank, "--leave-out", table)
    message = train("fit", "--run", "r", "--preset", "default", *given)
    assert message.startswith(
        f"--leave-out {table}: none of its recordings, such as bank/foreground/Humming/"
        f"00.flac, is in {bank}; paths must be"
    )
    assert not (tmp_path / "r").exists()


def test_a_package_that_is_missing_is_named_with_what_installs_it(
    train, bank, monkeypatch
):
    monkeypatch.setitem(
        sys.modules, "nncf", None
    )  # importing it fails, as if not there

    def write(*_arguments, **_options):
        import nncf  # noqa: F401

    monkeypatch.setattr("train.cli.soundscapes.write_soundscapes", write)
    message = train("soundscapes", "out", "--soundbank", bank)
    assert message.startswith("this needs the package nncf: pip install ")
    assert "[train]" in message


def test_a_bank_without_labels_of_the_model_cannot_be_rehearsed(train, bank):
    message = train("adapt", "default", "--soundbank", bank, "--rehearse", bank)
    assert message.startswith(f"{bank}: none of its labels (Beeping, ")
