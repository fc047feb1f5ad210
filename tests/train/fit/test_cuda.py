"""On a CUDA device what a CPU computes; and, without one, what of that can be tested."""

import numpy as np
import pytest
import soundfile
import torch

from benchmarks import cuda
from streamsed.audio.decode import file_chunks
from streamsed.detector import Detector
from streamsed.inference.model import Model
from train.config.network import NetworkConfig
from train.config.train import TrainConfig
from train.datasets.clip_features import Example
from train.fit.losses import Criterion
from train.fit.machine.memory import largest_fit
from train.fit.trainer import Trainer

SCENE = cuda.SCENE


class Clips(torch.utils.data.Dataset):
    """Endless random segments."""

    def __getitem__(self, index) -> Example:
        x = np.random.default_rng(index).uniform(size=(1, 1024, 128))
        return {
            "x": torch.from_numpy(x.astype(np.float32)),
            "y": torch.zeros(128, 2),
            "strong": torch.tensor(data=True),
        }


def make_trainer(folder, *, batch_size, device, width=8):
    config = TrainConfig(
        network=NetworkConfig(width=width), batch_size=batch_size, steps=2, threads=1
    )
    criterion = Criterion([1, 1], [0, 0], alpha=0.01)
    return Trainer(config, ("low", "high"), criterion, folder, device=device)


@pytest.mark.gpu
def test_the_shipped_model_scores_on_cuda_as_on_the_cpu():
    features = np.random.default_rng(0).uniform(size=(1024, 128)).astype(np.float32)
    on_cpu, on_cuda = (
        Model.load("default", device=device).score(features)
        for device in ("cpu", "cuda")
    )
    # In bf16, of 8 binary digits, whose products CUDA adds up in another order.
    np.testing.assert_allclose(on_cuda.scores, on_cpu.scores, atol=5e-3)
    np.testing.assert_allclose(on_cuda.region, on_cpu.region, atol=5e-3)


@pytest.mark.gpu
def test_the_events_of_a_stream_are_those_of_the_file_on_cuda():
    detector = Detector.load("default", device="cuda")
    whole = list(detector.events(file_chunks(SCENE)))
    samples = soundfile.read(SCENE, dtype="float32")[0]
    cuts = np.sort(np.random.default_rng(0).integers(0, len(samples), 200))
    assert whole
    assert list(detector.events(np.split(samples, cuts))) == whole


@pytest.mark.gpu
def test_a_batch_too_large_for_the_card_names_one_that_fits(tmp_path):
    torch.cuda.empty_cache()
    free, total = torch.cuda.mem_get_info()
    held = total - free + torch.cuda.memory_reserved()
    try:
        torch.cuda.set_per_process_memory_fraction((held + 2 * 2**30) / total)
        trainer = make_trainer(tmp_path, batch_size=64, device="cuda", width=32)
        with pytest.raises(ValueError, match=r"batch_size=64 must fit .*: \d+ does"):
            trainer.fit(Clips(), n_workers=0)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.mark.gpu
def test_training_on_cuda_resumes_on_the_cpu(tmp_path):
    make_trainer(tmp_path, batch_size=2, device="cuda").fit(Clips(), n_workers=0)
    on_cpu = make_trainer(tmp_path, batch_size=2, device="cpu")
    on_cpu.resume()
    assert on_cpu.clock.step == 2


@pytest.mark.gpu
def test_a_recorded_graph_scores_as_the_network_does():
    _, off = cuda.inference("CUDA graph", 8, "cuda", "fp32", 1)
    assert off <= 1e-5


@pytest.mark.parametrize(("room", "fits"), [(5, 4), (1, 1), (0, 0)])
def test_a_batch_too_large_names_one_that_fits(tmp_path, monkeypatch, room, fits):
    trainer = make_trainer(tmp_path, batch_size=16, device="cpu")
    losses = trainer.learner.losses

    def within_room(network, batch, progress):
        if len(batch["x"]) > room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return losses(network, batch, progress)

    monkeypatch.setattr(trainer.learner, "losses", within_room)
    answer = f"{fits} does" if fits else "not even one clip does"
    with pytest.raises(ValueError, match=f"batch_size=16 must .* cpu: {answer}; "):
        trainer.fit(Clips(), n_workers=0)


@pytest.mark.parametrize("room", range(10))
def test_the_largest_fit_is_the_first_half_that_fits(room):
    tried = []

    def attempt(n):
        tried.append(n)
        if n > room:
            raise torch.OutOfMemoryError("too many")

    fit = largest_fit(attempt, 9)
    assert fit == max((n for n in (9, 4, 2, 1) if n <= room), default=0)
    assert tried == [n for n in (9, 4, 2, 1) if n >= fit]


def test_an_error_that_is_not_of_memory_is_not_taken_for_one():
    def attempt(_):
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        largest_fit(attempt, 4)


def test_without_a_device_the_benchmark_says_so(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit) as ended:
        cuda.main([])
    assert ended.value.code == 2
    assert capsys.readouterr().err == "no CUDA device\n"


def test_operations_of_the_full_network_are_those_of_its_61_gmac():
    forward = cuda.operations(64, training=False)
    assert 2 * 60e9 < forward < 2 * 62e9


def test_training_takes_three_times_the_operations_of_scoring():
    forward = cuda.operations(8, training=False)
    assert 2.9 * forward < cuda.operations(8, training=True) < 3.0 * forward


@pytest.mark.parametrize("form", ["as it is", "TorchScript, frozen", "torch.export"])
def test_every_form_of_the_network_scores_alike(form):
    took, off = cuda.inference(form, 8, "cpu", "fp32", 1)
    assert took > 0
    assert off <= 1e-5


def test_sixteen_bits_change_scores_a_little():
    _, off = cuda.inference("as it is", 8, "cpu", "bf16", 1)
    assert 0 < off < 0.02


def test_traffic_grows_with_the_bytes_of_a_number_and_the_width():
    maps, weights = cuda.traffic(8, 4)
    assert cuda.traffic(8, 2) == (maps / 2, weights / 2)
    wider_maps, wider_weights = cuda.traffic(16, 4)
    assert 1.9 * maps < wider_maps < 2.1 * maps
    assert 3.5 * weights < wider_weights < 4 * weights


def test_precision_is_set_back():
    before = torch.backends.cudnn.allow_tf32
    with cuda.arithmetic("tf32", "cpu"):
        assert torch.backends.cudnn.allow_tf32
        assert torch.backends.cuda.matmul.allow_tf32
    assert torch.backends.cudnn.allow_tf32 == before
    assert not torch.backends.cuda.matmul.allow_tf32
