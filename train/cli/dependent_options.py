"""Options of training that would have no effect, and are refused."""

from __future__ import annotations

from typing import ClassVar

from streamsed.cli.dependent_options import DependentOptions, Rules

NEEDED: Rules = {
    "table1": {"--soundbank": ("--lists",)},
    "evaluate": {
        "--continuous": (
            *("--soundbank", "--split", "--blueprint", "--even-labels"),
            *("--recordings", "--minutes", "--seed"),
        ),
        "--model or MODEL": ("--device", "--audio"),
        "--durations": ("--operating-points",),
        "--scores, --operating-points, --model or MODEL": ("--durations",),
    },
    "export": {"--soundbank": ("--tune", "--blueprint", "--split", "--n")},
    "adapt": {"--rehearse or --measure": ("--leave-out",)},
}
"""What needs the option."""

EXCLUDED: Rules = {
    "table1": {"--data": ("--soundbank",), "--soundbank": ("--without",)},
    "fit": {"--steps": ("--minutes",)},
    "evaluate": {
        "--continuous": (
            *("--reference", "--estimated", "--audio", "--durations", "--scores"),
            "--operating-points",
        ),
    },
    "export": {"--last": ("--ensemble",), "--tune": ("--operating-points",)},
    "adapt": {"--steps": ("--minutes",)},
}
"""What cannot be combined with the option."""


class TrainingOptions(DependentOptions):
    """A command of training that refuses options which would have no effect."""

    needed: ClassVar[Rules] = NEEDED
    excluded: ClassVar[Rules] = EXCLUDED
