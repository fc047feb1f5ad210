"""The numbers of a model card as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def to_markdown(measured: dict[str, Any], command: str) -> str:
    """Lay the numbers out as Markdown."""
    rows, first = measured["rows"], next(iter(measured["rows"].values()))
    alone = measured["alone"]
    rates = {label: right / n for label, (right, n) in alone.items()}
    quiet, psds = measured["false_alarms"], measured["psds"]
    sections = [
        f"Written by `{command}`.",
        (
            f"Event-based F1 (%) on {measured['n_clips']} clips, with the range in which it "
            "lies in 95 % of 1000 draws of as many clips:"
        ),
        _table(
            ("", "macro", "micro", "segment macro", "intersection macro"),
            [
                (
                    name,
                    _ranged(row["event_f1_macro"], row["macro_interval"]),
                    _ranged(row["event_f1_micro"], row["micro_interval"]),
                    _percent(row["segment_f1_macro"]),
                    _percent(row["intersection_f1_macro"]),
                )
                for name, row in rows.items()
            ],
        ),
        (
            f"PSDS 1 {psds[0]:.3f}, PSDS 2 {psds[1]:.3f}. Calibration error of the scores "
            f"{100 * measured['calibration_error']:.2f} %."
        ),
        _table(
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
        ),
        (
            f"Alone, at peaks from -30 to 0 dBFS, {_percent(sum(rates.values()) / len(rates))}"
            f" % of the recordings get their label (macro). An hour of backgrounds brings "
            f"{quiet['per_hour']:.0f} false events."
        ),
        _table(
            ("event over background", "macro", "micro"),
            [(k, *map(_percent, v)) for k, v in measured["by_ratio"].items()],
        ),
        _table(
            ("loudest sample", "macro", "micro"),
            [(k, *map(_percent, v)) for k, v in measured["by_gain"].items()],
        ),
        _table(
            ("sound that is none", "events"),
            [(k, str(v)) for k, v in measured["artificial"].items()],
        ),
        "Of recordings alone, the label of highest score where it is the wrong one: "
        + ("; ".join(_confused(measured["confusions"])) or "never")
        + ".",
        _table(
            ("scores", "frames", "mean score", "right"),
            [
                (f"{i / 10:.1f} to {(i + 1) / 10:.1f}", str(n), f"{m:.2f}", f"{r:.2f}")
                for i, (n, m, r) in enumerate(measured["reliability"])
            ],
        ),
        (
            f"{measured['parameters'] / 1e6:.2f} M weights, {measured['gmac']:.2f} GMAC for a "
            "segment of 10 s."
        ),
    ]
    return "\n\n".join(sections) + "\n"


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
