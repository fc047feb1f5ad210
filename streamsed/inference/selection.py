"""Choose the engine of a model: candidates by speed, and why others are rejected.

The order is fixed rather than measured at each start, so that a machine always gives the
same events; benchmarks/RESULTS.md has the times. An engine is only chosen automatically if
its precision was accepted at export (see `ModelInfo.engines`), and if its scores for the
probe match; `streamsed.inference.model` checks this.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from streamsed.config.settings import shortened
from streamsed.inference.cpu import has_bf16, has_bf16_tiles, may_have_cuda
from streamsed.inference.engine import NAMES, PRECISIONS
from streamsed.inference.model_file import ModelFile, ModelInfo
from streamsed.inference.onnx_weights import has_graph
from streamsed.installation import install_command
from streamsed.terminal import percent

_PACKAGES = {"openvino": "openvino", "onnx": "onnxruntime", "torchscript": "torch"}
_PROJECTS = {"openvino": "OpenVINO", "onnx": "ONNX Runtime", "torchscript": "PyTorch"}


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """The device, engine and precision that the user requests.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda"}
    engine : {"auto", "torchscript", "openvino", "onnx"}
    precision : {"auto", "fp32", "bf16", "int8"}
    threads : int or None
        Threads per segment; None lets the engine choose.
    trust : bool
        Whether the code in a file without a graph may be run.

    Raises
    ------
    ValueError
        A value is not one of these.
    """

    device: str = "auto"
    engine: str = "auto"
    precision: str = "auto"
    threads: int | None = None
    trust: bool = False

    def __post_init__(self) -> None:
        """Check the values and their combinations."""
        for name, known in (
            ("device", ("cpu", "cuda")),
            ("engine", NAMES),
            ("precision", PRECISIONS),
        ):
            value = getattr(self, name)
            if value not in ("auto", *known):
                choices = ", ".join(known[:-1])
                raise ValueError(
                    f"{name}={value!r} must be auto, {choices} or {known[-1]}"
                )
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"threads={self.threads} must be 1 or more")
        if self.device == "cuda" and self.engine not in ("auto", "torchscript"):
            raise ValueError(
                f"engine={self.engine!r} must be torchscript with device=cuda"
            )


@dataclass(frozen=True, slots=True)
class Candidate:
    """An engine with a precision, and why it is rejected ("" if it is not)."""

    engine: str
    precision: str
    device: str = "cpu"
    rejected_because: str = ""

    @property
    def name(self) -> str:
        """Name in files and tables, such as "openvino int8"."""
        return f"{self.engine} {self.precision}"


def engine_order() -> tuple[tuple[str, str], ...]:
    """Return engines and precisions for this processor, fastest first.

    With AMX, bf16 is as fast as int8 and closer to fp32.
    """
    bf16, int8 = ("openvino", "bf16"), ("openvino", "int8")
    first = (bf16, int8) if has_bf16_tiles() else (int8, bf16)
    rest = (("openvino", "fp32"), ("torchscript", "bf16"), ("onnx", "fp32"))
    return (*first, *rest, ("torchscript", "fp32"), ("onnx", "int8"))


def candidates(file: ModelFile, request: EngineRequest) -> Iterator[Candidate]:
    """Yield the engines that match a request, fastest first.

    Parameters
    ----------
    file : ModelFile
        A model file.
    request : EngineRequest
        An engine or precision named explicitly need not have been accepted at export.

    Yields
    ------
    Candidate
        Including rejected ones, with the reason.
    """
    if request.engine in ("auto", "torchscript") and (
        request.device == "cuda" or (request.device == "auto" and may_have_cuda())
    ):
        for precision in ("bf16", "fp32"):
            if request.precision in ("auto", precision):
                reason = _missing(file, "torchscript", precision, device="cuda")
                reason = reason or _unproven(
                    file.info, f"torchscript {precision}", request
                )
                yield Candidate("torchscript", precision, "cuda", reason)
    if request.device == "cuda":
        return
    for engine, precision in engine_order():
        if request.engine in ("auto", engine) and request.precision in (
            "auto",
            precision,
        ):
            reason = _missing(file, engine, precision)
            reason = reason or _unproven(file.info, f"{engine} {precision}", request)
            yield Candidate(engine, precision, "cpu", reason)


def unavailable(request: EngineRequest, rejected: Sequence[Candidate]) -> ValueError:
    """Return the error that says why none of the candidates can be used."""
    names: dict[str, list[str]] = {}  # by reason
    for each in rejected:
        names.setdefault(each.rejected_because, []).append(each.name)
    if len(names) == 1 and " is not installed: " in (reason := next(iter(names))):
        return ValueError(reason)
    reasons = "; ".join(f"{', '.join(n)}: {why}" for why, n in names.items())
    return ValueError(
        f"engine={request.engine} with precision={request.precision} is not available "
        f"({reasons or 'no engine has both'}); try --engine auto"
    )


def _missing(
    file: ModelFile, engine: str, precision: str, *, device: str = "cpu"
) -> str:
    """Return what is missing to run an engine, "" if nothing is."""
    if missing := _not_installed(engine):
        return missing
    exact_torch = (engine, precision) == ("torchscript", "fp32")
    if not exact_torch and not has_graph(file, precision):
        return "the model file is of an older kind, without graphs; export it again"
    if precision == "bf16" and device == "cpu" and not has_bf16():
        return "not supported by this processor"
    return ""


def _not_installed(engine: str) -> str:
    """Return how to install an engine that is missing, "" if it is installed."""
    package = _PACKAGES[engine]
    if find_spec(package) is not None:
        return ""
    # Torch is an extra; the others are dependencies wherever they have wheels.
    is_extra = package == "torch"
    command = install_command(package) if is_extra else f"pip install {package}"
    return f"{_PROJECTS[engine]} is not installed: {command}"


def _unproven(info: ModelInfo, name: str, request: EngineRequest) -> str:
    """Return why an engine is not chosen automatically, "" if it may be."""
    if name.endswith("fp32") or request.precision != "auto":
        return ""
    record = info.engines.get(name)
    if record is None:
        return "not measured when the model was exported"
    if not record["accepted"]:
        if "failed" in record:
            return f"failed at export: {shortened(str(record['failed']))}"
        changed = record.get("events_changed")
        if changed is None:
            return "not accepted at export"
        reason = f"not accepted at export: {percent(changed)} of events differed"
        f1 = record.get("event_f1_macro")
        return reason + (f", event F1 {percent(f1)}" if f1 is not None else "")
    return ""
