"""Several processes that train one network, and what is refused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small_fit import fit_arguments

from train.config.preset import load_preset
from train.fit.machine.distributed import Parallel
from train.fit.run import RunOptions, fit_on_scenes
from train.mixing.toy_bank import write_bank

SCRIPT = """
import sys, torch
from pathlib import Path
from bars import Bars, CONFIG, make_trainer
from train.fit.machine.distributed import Parallel

run = Path(sys.argv[1])
trainer = make_trainer(run, device="cpu")
seen = []
learn = trainer.learner.learn
trainer.learner.learn = lambda batch, **at: seen.append(batch["x"]) or learn(batch, **at)
trainer.fit(Bars(), n_workers=0)
rank = trainer.parallel.rank
torch.save({"network": trainer.learner.network.state_dict(), "seen": seen,
            "agreed": trainer.parallel.broadcast(float(rank) + 7.0)}, run / f"rank-{rank}.pt")
torch.distributed.destroy_process_group()
"""

STILL = """
import sys, torch
from pathlib import Path
from bars import Bars, make_trainer

run = Path(sys.argv[1])
trainer = make_trainer(run, device="cpu")
network, learn, losses = trainer.learner.network, trainer.learner.learn, []
network.eval()
network.train = lambda mode=True: network  # normalises by what it was made with

def kept(batch, **at):
    losses.append(learn(batch, **at))
    return losses[-1]

trainer.learner.learn = kept
trainer.fit(Bars(), n_workers=0)
totals = torch.tensor([float(each["total"]) for each in losses])
torch.save({"network": network.state_dict(), "losses": totals},
           run / f"rank-{trainer.parallel.rank}.pt")
if trainer.parallel.n_processes > 1:
    torch.distributed.destroy_process_group()
"""


def launch(folder, script, n_processes):
    """Run a script under torchrun; return what its processes saved, by rank."""
    (folder / "script.py").write_text(script)
    root = Path(__file__).parents[4]
    subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", str(n_processes)),
            *(str(folder / "script.py"), str(folder / "run")),
        ],
        check=True,
        timeout=300,
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join([str(root / "tests" / "support"), str(root)]),
        },
    )
    return [
        torch.load(folder / "run" / f"rank-{rank}.pt", weights_only=True)
        for rank in range(n_processes)
    ]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """Train under torchrun in two processes; what each of them ended with."""
    folder = tmp_path_factory.mktemp("parallel")
    return folder / "run", launch(folder, SCRIPT, 2)


def test_two_processes_learn_what_one_learns(tmp_path):
    """With batch normalisation held still; it takes each process's own share otherwise."""
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    (alone,) = launch(one, STILL, 1)
    both = launch(two, STILL, 2)
    together = (both[0]["losses"] + both[1]["losses"]) / 2
    assert len(together) == 6
    assert alone["losses"][-1] < alone["losses"][0]
    assert torch.allclose(together, alone["losses"], rtol=1e-4)
    for name, weights in alone["network"].items():
        assert torch.allclose(both[0]["network"][name], weights, atol=1e-5), name


def test_two_processes_end_with_equal_weights(ranks):
    _, (first, second) = ranks
    weights = [name for name in first["network"] if "running" not in name]
    assert weights
    for name in weights:
        assert torch.equal(first["network"][name], second["network"][name]), name


def test_they_share_the_examples_of_a_batch(ranks):
    from bars import CONFIG, Bars

    _, both = ranks
    for step in range(CONFIG.steps):
        together = torch.stack([each["seen"][step] for each in both], dim=1).flatten(
            0, 1
        )
        wanted = torch.stack([Bars()[4 * step + place]["x"] for place in range(4)])
        assert torch.equal(together, wanted)


def test_they_agree_on_what_the_first_one_says(ranks):
    assert [each["agreed"] for each in ranks[1]] == [7.0, 7.0]


def test_only_the_first_one_writes(ranks):
    run, _ = ranks
    assert (run / "log.csv").read_text().count("\n") == 2
    written = {path.name for path in run.iterdir()}
    # .lock keeps other runs out of the folder; the first process holds it.
    assert written == {".lock", "log.csv", "last.pt", "rank-0.pt", "rank-1.pt"}


def test_torchrun_takes_the_command_that_the_help_names(tmp_path):
    """Without `--`, torchrun takes `--run` for an option of its own."""
    bank = write_bank(tmp_path / "bank", n_recordings=5)
    arguments = fit_arguments(bank, tmp_path / "run", "--steps", 2)
    subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", "2", "-m", "--", "train", *arguments),
        ],
        check=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
    )
    assert (tmp_path / "run" / "last.pt").is_file()


def test_scenes_are_refused_to_several_processes_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    config = load_preset("default")
    with pytest.raises(
        ValueError, match=r"scenes\.duration=40\.0 must be 0 in a run of 2 processes"
    ):
        fit_on_scenes(config, [tmp_path], RunOptions(tmp_path / "run", device="cpu"))


def test_one_process_shares_with_nobody(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    alone = Parallel("cpu")
    network = torch.nn.Linear(1, 1)
    assert alone.wrap(network) is network
    assert (alone.rank, alone.n_processes, alone.is_first) == (0, 1, True)
    assert alone.broadcast(0.1) == 0.1


def test_chance_continues_from_where_it_was_kept():
    parallel = Parallel("cpu")
    kept = parallel.rng_state()
    drawn = torch.rand(3)
    assert not torch.equal(torch.rand(3), drawn)
    parallel.set_rng_state(kept)
    assert torch.equal(torch.rand(3), drawn)


def test_devices_that_are_not_there_are_named(monkeypatch):
    with pytest.raises(ValueError, match="device=tpu must be auto, cpu or cuda"):
        Parallel("tpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="torch finds no CUDA device"):
        Parallel("cuda")
    assert Parallel("auto").device.type == "cpu"


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path, monkeypatch):
    from bars import make_trainer

    # Three processes, said to be there already.
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    with pytest.raises(ValueError, match="batch_size=4 must be a multiple of the 3"):
        make_trainer(tmp_path)
