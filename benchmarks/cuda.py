"""What a card does, and what the report's network does on it: `python -m benchmarks.cuda`.

Two floors come first, the rate of matrix products and that of copies, measured here. The
network's arithmetic divided by the one, and its traffic divided by the other, say how
fast it could be at best. Without a CUDA device it says so and ends with exit code 2;
`--device cpu` runs the same functions on the processor.
"""

import argparse
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.program import SCENE, run
from streamsed.config import FrontendConfig
from train.config.network import NetworkConfig
from train.fit.losses import Criterion
from train.networks.resnet import Network

PRECISIONS = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}
PARTS = ("training", "inference", "hour")
FRAMES = (FrontendConfig().segment_frames, FrontendConfig().n_mels)
N_LABELS = 10
LONG = 2.0
Run = Callable[[Tensor], tuple[Tensor, ...]]


def seconds(function: Callable[[], object], device: str, repeats: int = 10) -> float:
    """Time a function, its work on the device included; the median after two calls.

    A slow one is called less often: three times, or until it took `LONG` seconds.
    """

    def synchronise() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    times = []
    for _ in range(repeats + 2):
        synchronise()
        start = time.perf_counter()
        function()
        synchronise()
        times.append(time.perf_counter() - start)
        if len(times) >= 5 and sum(times[2:]) > LONG:
            break
    return statistics.median(times[2:])


@contextmanager
def arithmetic(precision: str, device: str) -> Iterator[None]:
    """Compute in a precision: autocast for 16 bits, TF32 for matrices and convolutions."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    dtype = PRECISIONS[precision]
    casting: AbstractContextManager[object] = nullcontext()
    if dtype != torch.float32:
        casting = torch.autocast(device, dtype)
    try:
        with casting:
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before[0]
        torch.backends.cudnn.allow_tf32 = before[1]


def matrix_rate(precision: str, device: str, size: int) -> float:
    """Measure operations per second of a product of square matrices."""
    a, b = torch.randn(2, size, size, device=device).to(PRECISIONS[precision])
    with arithmetic(precision, device):
        return 2 * size**3 / seconds(lambda: a @ b, device)


def copy_rate(device: str, n_bytes: int) -> float:
    """Measure bytes per second of a copy on the device, those read and those written."""
    source = torch.empty(n_bytes, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * n_bytes / seconds(lambda: target.copy_(source), device)


def make(width: int, device: str) -> Network:
    torch.manual_seed(0)
    network = Network(N_LABELS, NetworkConfig(width=width)).to(device).eval()
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def operations(width: int, *, training: bool) -> float:
    """Count a clip's operations: of the forward pass, or of both passes."""
    network, x = make(width, "cpu"), torch.zeros(1, 1, *FRAMES)
    with FlopCounterMode(display=False) as counter, torch.set_grad_enabled(training):
        outputs = network(x)
        if training:
            sum(each.sum() for each in outputs).backward()
    return float(counter.get_total_flops())


def traffic(width: int, n_bytes: int) -> tuple[float, float]:
    """Count what convolutions and batch norms read and write, `n_bytes` a number.

    Returns
    -------
    float, float
        Bytes of a clip's maps in the forward pass, and of the weights.
    """
    network, moved = make(width, "cpu"), 0

    def count(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal moved
        moved += inputs[0].numel() + output.numel()

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d | nn.Linear):
            module.register_forward_hook(count)
    with torch.inference_mode():
        network(torch.zeros(1, 1, *FRAMES))
    weights = sum(each.numel() for each in network.parameters())
    return float(moved * n_bytes), float(weights * n_bytes)


def training_rate(
    width: int, device: str, precision: str, batch: int, *, compiled: bool = False
) -> float:
    """Measure clips per second of whole training steps on one batch, data aside."""
    network = make(width, device).train()
    logits = torch.compile(network.logits) if compiled else network.logits
    criterion = Criterion([1] * N_LABELS, [1] * N_LABELS, alpha=0.01)
    optimizer = torch.optim.AdamW(network.parameters())
    x = torch.rand(batch, 1, *FRAMES, device=device)
    x = x.contiguous(memory_format=torch.channels_last)
    y = torch.zeros(batch, FRAMES[0] // 8, N_LABELS, device=device)
    strong = torch.ones(batch, dtype=torch.bool, device=device)
    scaler = torch.amp.GradScaler(device, enabled=precision == "fp16")

    class Compiled:
        def logits(self, x: Tensor) -> object:
            return logits(x)

    def step() -> None:
        optimizer.zero_grad()
        with arithmetic(precision, device):
            data = {"x": x, "y": y, "strong": strong}
            loss = criterion(Compiled(), network, data, 0.0)["total"]  # type: ignore[arg-type]
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        float(loss)  # as the training loop does

    return batch / seconds(step, device)


def as_traced(network: nn.Module, x: Tensor) -> Run:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        return torch.jit.freeze(torch.jit.trace(network, x, check_trace=False))  # type: ignore[no-untyped-call, no-any-return]


def as_exported(network: nn.Module, x: Tensor) -> Run:
    return torch.export.export(network, (x,)).module()


def as_compiled(network: nn.Module, _: Tensor) -> Run:
    return torch.compile(network)  # type: ignore[return-value]


def as_graph(network: nn.Module, x: Tensor) -> Run:
    """Record the calls once and replay them; CUDA only."""
    fixed, stream = x.clone(), torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            network(fixed)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = network(fixed)

    def replay(x: Tensor) -> tuple[Tensor, ...]:
        fixed.copy_(x)
        graph.replay()
        return outputs  # type: ignore[no-any-return]

    return replay


FORMS = {
    "as it is": lambda network, _: network,
    "TorchScript, frozen": as_traced,
    "torch.export": as_exported,
    "torch.compile": as_compiled,
    "CUDA graph": as_graph,
}


def inference(
    form: str, width: int, device: str, precision: str, batch: int
) -> tuple[float, float]:
    """Measure a form of the network.

    Returns
    -------
    float, float
        Milliseconds a segment; largest difference of a score from fp32's, as it is.
    """
    network = make(width, device)
    x = torch.rand(batch, 1, *FRAMES, device=device)
    with torch.no_grad():
        with arithmetic("fp32", device):
            expected = network(x)[0]
        with arithmetic(precision, device):
            call: Run = FORMS[form](network, x)
            got = call(x)[0].float()
            time = seconds(lambda: call(x), device)
    return 1000 * time / batch, float((got - expected).abs().max())


def hour(device: str, duration: int) -> float:
    """Time `streamsed file` on a recording, start-up included; return the seconds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hour.flac"
        scene, rate = soundfile.read(SCENE, dtype="float32")
        soundfile.write(path, np.resize(scene, duration * rate), rate)
        arguments = ("-m", "streamsed", "file", str(path), "--device", device)
        return run(*arguments)[0]


def report(options: argparse.Namespace) -> Iterator[str]:
    """Measure it all, a line at a time."""
    device, width = options.device, options.width
    card = torch.cuda.get_device_name() if device == "cuda" else "the processor"
    yield f"# {card}, torch {torch.__version__}, width {width}\n"
    yield "| products of matrices | TFLOP/s |\n| --- | ---: |"
    rates = {}
    for precision in options.precisions:
        rates[precision] = matrix_rate(precision, device, options.size)
        yield f"| {precision} | {rates[precision] / 1e12:.4g} |"
    copied = copy_rate(device, options.megabytes * 10**6)
    yield f"\nA copy moves {copied / 1e9:.4g} GB/s, read and written.\n"
    if "training" in options.parts:
        yield from _training(options, operations(width, training=True), rates)
    if "inference" in options.parts:
        yield from _inference(options, rates, copied)
    if "hour" not in options.parts:
        return
    took = hour(device, options.hour)
    yield (
        f"\n`streamsed file --device {device}` took {took:.1f} s for {options.hour} s "
        f"with the model `default`: real-time factor 1/{options.hour / took:.0f}."
    )


def _training(
    options: argparse.Namespace, n_operations: float, rates: dict[str, float]
) -> Iterator[str]:
    yield "| training | batch | clips/s | share of the matrix rate |"
    yield "| --- | ---: | ---: | ---: |"
    for precision, rate in rates.items():
        for batch in options.batches:
            compiling = _compiles(options, precision, batch)
            for compiled in (False, True) if compiling else (False,):
                name = f"{precision}{', compiled' * compiled}"
                try:
                    clips = training_rate(
                        *(options.width, options.device, precision, batch),
                        compiled=compiled,
                    )
                except torch.OutOfMemoryError:
                    yield f"| {name} | {batch} | out of memory | |"
                    continue
                share = clips * n_operations / rate
                yield f"| {name} | {batch} | {clips:.4g} | {100 * share:.1f} % |"


def _compiles(options: argparse.Namespace, precision: str, batch: int) -> bool:
    """Compile for few cases only, as each takes up to a minute."""
    return (
        options.compile and precision == "bf16" and batch in (1, max(options.batches))
    )


def _inference(
    options: argparse.Namespace, rates: dict[str, float], copied: float
) -> Iterator[str]:
    n_operations = operations(options.width, training=False)
    yield "\n| a segment | batch | ms | floor: arithmetic | floor: traffic | from fp32 |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for precision, rate in rates.items():
        maps, weights = traffic(options.width, PRECISIONS[precision].itemsize)
        for form in FORMS:
            if form == "CUDA graph" and options.device != "cuda":
                continue
            for batch in (1, *options.batches):
                if batch > 1 and form not in ("as it is", "torch.compile"):
                    continue
                if form == "torch.compile" and not _compiles(options, precision, batch):
                    continue
                key = f"| {precision}, {form} | {batch}"
                try:
                    took, off = inference(
                        form, options.width, options.device, precision, batch
                    )
                except torch.OutOfMemoryError:
                    yield f"{key} | out of memory | | | |"
                    continue
                floors = n_operations / rate, (maps + weights / batch) / copied
                cells = " | ".join(f"{1000 * each:.4g}" for each in floors)
                yield f"{key} | {took:.4g} | {cells} | {off:.1e} |"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.cuda")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument(
        "--batches",
        type=lambda text: [int(each) for each in text.split(",")],
        default=[16, 32, 64, 128],
    )
    parser.add_argument(
        "--precisions", nargs="+", choices=list(PRECISIONS), default=list(PRECISIONS)
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--size", type=int, default=8192, help="of the matrices")
    parser.add_argument("--megabytes", type=int, default=1000, help="of the copy")
    parser.add_argument("--hour", type=int, default=3600, help="seconds of it")
    parser.add_argument("--no-compile", dest="compile", action="store_false")
    parser.add_argument("--output", type=Path, help="Markdown; grows while it measures")
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        print("no CUDA device", file=sys.stderr)
        sys.exit(2)
    text = ""
    for line in report(options):
        print(line, flush=True)
        text += line + "\n"
        if options.output is not None:
            options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
