"""Which model detects, and which engine runs it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

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


def engine_settings(
    engine: str,
    precision: str,
    threads: int | None,
    device: str = "auto",
    *,
    trust: bool = False,
) -> dict[str, Any]:
    """Return the settings of `Model.load`.

    Raises
    ------
    ValueError
        `threads` is less than 1.
    """
    if threads is not None and threads < 1:
        raise ValueError("--threads must be 1 or more")
    return {
        "trust": trust,
        "engine": engine,
        "precision": precision,
        "threads": threads,
        "device": device,
    }
