"""Which model detects, and which engine runs it."""

# No `from __future__ import annotations`: the annotations of the functions below become
# those of commands, so they must be objects.

from typing import Annotated, Any, NamedTuple

import typer

MAX_THREADS = 1024
"""More than any machine gains from; an engine with 100 000 does not start in minutes."""

ModelOption = Annotated[
    str, typer.Option("--model", "-m", metavar="NAME|PATH", help="Model to use.")
]
ModelArgument = Annotated[
    str, typer.Argument(metavar="[NAME|PATH]", help="A shipped model or a model file.")
]
EngineOption = Annotated[
    str,
    typer.Option(metavar="auto|openvino|onnx|torchscript", help="Inference engine."),
]
PrecisionOption = Annotated[
    str,
    typer.Option(
        metavar="auto|fp32|bf16|int8",
        help="Arithmetic of the engine; auto is the fastest that keeps the events the same.",
    ),
]
ThreadsOption = Annotated[
    int | None, typer.Option(metavar="N", help="Threads per segment.")
]
TrustOption = Annotated[
    bool,
    typer.Option(
        "--trust-model",
        help="Run the code in a model file of the older format; only if you know its author.",
    ),
]
Sha256Option = Annotated[
    str | None,
    typer.Option(
        "--model-sha256",
        metavar="HEX",
        help="Refuse the model file unless its SHA-256 is HEX.",
    ),
]


class ModelChoice(NamedTuple):
    """A model file, and what is required of it.

    Parameters
    ----------
    name : str
        Name or path.
    sha256 : str or None
        Required SHA-256 of the file.
    trust : bool
        Whether the code in a file of the older format may be run.
    """

    name: str
    sha256: str | None
    trust: bool


def model_choice(
    *,
    model: ModelOption = "default",
    model_sha256: Sha256Option = None,
    trust_model: TrustOption = False,
) -> ModelChoice:
    """Return the model that was chosen; its parameters are the options."""
    return ModelChoice(model, model_sha256, trust_model)


def engine_settings(
    *,
    engine: EngineOption = "auto",
    precision: PrecisionOption = "auto",
    threads: ThreadsOption = None,
) -> dict[str, Any]:
    """Return the settings of `Model.load` for the engine; its parameters are the options.

    Raises
    ------
    ValueError
        `threads` is out of range.
    """
    if threads is not None and not 1 <= threads <= MAX_THREADS:
        raise ValueError(f"--threads must be from 1 to {MAX_THREADS}, not {threads}")
    return {"engine": engine, "precision": precision, "threads": threads}
