"""Arguments of a `python -m train fit` that takes seconds."""

SETTINGS = [
    "network.multiples=[1, 2]", "network.strides=[[1, 2], [2, 2]]", "batch_size=2",
    "network.stem_pools=2", "frontend.segment_frames=128", "mixing.duration=1.25",
    "mixing.n_variants=0", 'precision="bf16"',
]  # fmt: skip


def fit_arguments(bank, run, *more):
    """Train a network of two blocks on mixtures of a bank's sounds."""
    arguments = ["fit", "--preset", "nec_alpha_0.01", "--soundbank", bank, "--run", run]
    arguments += ["--width", 8, "--threads", 1, "--n-validation", 2, "--device", "cpu"]
    arguments += [word for line in SETTINGS for word in ("--set", line)]
    return [str(word) for word in [*arguments, *more]]
