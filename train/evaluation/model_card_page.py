"""The numbers of a model card as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any


def to_markdown(measured: dict[str, Any], command: str) -> str:
    """Lay the numbers out as Markdown."""
    sections = [
        f"Written by `{command}`.",
        *_overall(measured),
        *_by_label(measured),
        *_by_level(measured),
        *_scores(measured),
        *_speech(measured.get("speech", {})),
        (
            f"{measured['parameters'] / 1e6:.2f} M weights, {measured['gmac']:.2f} GMAC for a "
            "segment of 10 s."
        ),
    ]
    return "\n\n".join(sections) + "\n"


def _overall(measured: dict[str, Any]) -> Iterator[str]:
    """F1 of each way to make events, and PSDS."""
    yield (
        f"Event-based F1 (%) on {measured['n_clips']} clips, with the range in which it "
        "lies in 95 % of 1000 draws of as many clips:"
    )
    yield _table(
        ("", "macro", "micro", "segment macro", "intersection macro"),
        [
            (
                name,
                _ranged(row["event_f1_macro"], row["macro_interval"]),
                _ranged(row["event_f1_micro"], row["micro_interval"]),
                _percent(row["segment_f1_macro"]),
                _percent(row["intersection_f1_macro"]),
            )
            for name, row in measured["rows"].items()
        ],
    )
    psds = measured["psds"]
    yield (
        f"PSDS 1 {psds[0]:.3f}, PSDS 2 {psds[1]:.3f}. Calibration error of the scores "
        f"{100 * measured['calibration_error']:.2f} %."
    )


def _by_label(measured: dict[str, Any]) -> Iterator[str]:
    first, quiet = next(iter(measured["rows"].values())), measured["false_alarms"]
    rates = {label: right / n for label, (right, n) in measured["alone"].items()}
    yield _table(
        (
            "label",
            "recordings",
            "event F1 (%)",
            "alone, it gets its label (%)",
            "false alarms in the hour",
        ),
        [
            (
                label,
                str(measured["n_recordings"][label]),
                _percent(f1),
                _percent(rates[label]),
                str(quiet["by_label"][label]),
            )
            for label, f1 in first["event_f1_per_label"].items()
        ],
    )
    yield (
        f"Alone, at peaks from -30 to 0 dBFS, {_percent(sum(rates.values()) / len(rates))}"
        f" % of the recordings get their label (macro). An hour of backgrounds brings "
        f"{quiet['per_hour']:.0f} false events."
    )


def _by_level(measured: dict[str, Any]) -> Iterator[str]:
    for what, key in (
        ("event over background", "by_ratio"),
        ("loudest sample", "by_gain"),
    ):
        yield _table(
            (what, "macro", "micro"),
            [(name, *map(_percent, f1)) for name, f1 in measured[key].items()],
        )


def _scores(measured: dict[str, Any]) -> Iterator[str]:
    """Errors of the scores: unlabelled sounds, confusions and calibration."""
    yield _table(
        ("sound that is none", "events"),
        [(name, str(n)) for name, n in measured["artificial"].items()],
    )
    confused = "; ".join(_confused(measured["confusions"])) or "never"
    yield (
        "Of recordings alone, the label of highest score where it is the wrong one: "
        f"{confused}."
    )
    yield _table(
        ("scores", "frames", "mean score", "right"),
        [
            (f"{i / 10:.1f} to {(i + 1) / 10:.1f}", str(n), f"{m:.2f}", f"{r:.2f}")
            for i, (n, m, r) in enumerate(measured["reliability"])
        ],
    )


def _speech(counts: Mapping[str, int]) -> Iterator[str]:
    """How well speech is kept out of the clips that a listener saves."""
    if not counts or not counts["with_speech"]:
        return
    missed = counts["saved"] / counts["with_speech"]
    needless = counts["withheld"] / max(1, counts["without"])
    yield (
        "`listen --save-clips` saves no clip in which a score frame says speech. Of the "
        f"{counts['with_speech']} clips of detected events that hold more than 0.1 s of "
        f"speech, it would have saved {counts['saved']} ({_percent(missed)} %); of the "
        f"{counts['without']} without, it would have withheld {counts['withheld']} "
        f"({_percent(needless)} %)."
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _ranged(share: float, span: Sequence[float]) -> str:
    return f"**{_percent(share)}** ({_percent(span[0])}-{_percent(span[1])})"


def _confused(confusions: dict[str, dict[str, int]]) -> Iterable[str]:
    """Name the wrong labels, most frequent first."""
    wrong = [
        (n, truth, guess)
        for truth, guesses in confusions.items()
        for guess, n in guesses.items()
        if n and guess != truth
    ]
    for n, truth, guess in sorted(wrong, reverse=True):
        yield f"{truth} as {guess} ({n} of {sum(confusions[truth].values())})"
