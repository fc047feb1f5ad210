"""What a run says when it is over is what its logs hold."""

from types import SimpleNamespace

import pytest

from train.fit.outcome import RunOutcome
from train.fit.run_log import RunLog
from train.fit.validation import Validation

LOG = "step,minutes,learning_rate,total,waited\n50,1.5,1e-3,0.5,0.1\n80,2.5,0,0.25,0\n"
VALIDATION = """step,minutes,loss,macro,micro,Dog,Cat
40,1.2,0.40,0.30,0.35,0.10,0.50
60,1.9,0.20,0.28,0.33,0.20,0.36
80,2.5,0.30,0.40,0.45,0.30,0.50
"""


def test_the_best_is_the_network_of_lowest_validation_loss(tmp_path):
    (tmp_path / "log.csv").write_text(LOG)
    (tmp_path / "validation.csv").write_text(VALIDATION)
    outcome = RunOutcome.read(tmp_path)
    assert (outcome.step, outcome.minutes) == (80, 2.5)
    assert (outcome.first_loss, outcome.last_loss) == (0.5, 0.25)
    assert outcome.best["step"] == 60
    assert outcome.f1_per_label == {"Dog": 0.20, "Cat": 0.36}
    reported = "\n".join(outcome.lines())
    for words in ("80 steps in 2.5 minutes", "best at step 60", "28.0% macro", "36.0%"):
        assert words in reported


def test_the_best_of_a_baseline_has_the_highest_f1_on_held_out_clips(tmp_path):
    (tmp_path / "log.csv").write_text(LOG)
    (tmp_path / "validation.csv").write_text(
        "step,minutes,loss,macro,micro,Dog,held_out_events,held_out_tags\n"
        "40,1.2,0.10,0.30,0.35,0.10,0.30,0.10\n"
        "60,1.9,0.40,0.28,0.33,0.20,0.20,0.40\n"
        "80,2.5,0.30,0.40,0.45,0.30,0.25,0.30\n"
    )
    outcome = RunOutcome.read(tmp_path)
    assert outcome.best["step"] == 60
    assert outcome.f1_per_label == {"Dog": 0.20}


def test_a_label_that_is_called_as_a_column_hides_none(tmp_path):
    (tmp_path / "log.csv").write_text(LOG)
    f1 = SimpleNamespace(macro=0.3, micro=0.4, per_label={"step": 0.1, "Dog": 0.5})
    log = RunLog(tmp_path)
    log.add("validation", {"step": 80, "minutes": 2.5, **Validation(0.2, f1).to_row()})
    log.rewind(80)
    outcome = RunOutcome.read(tmp_path)
    assert outcome.best["step"] == 80
    assert outcome.f1_per_label == {"label step": 0.1, "Dog": 0.5}


def test_without_validation_it_does_not_say_how_good_it_is(tmp_path):
    (tmp_path / "log.csv").write_text(LOG)
    reported = "\n".join(RunOutcome.read(tmp_path).lines())
    assert "not known" in reported
    assert "F1" not in reported


def test_a_folder_without_a_log_is_no_run(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"log\.csv"):
        RunOutcome.read(tmp_path)
