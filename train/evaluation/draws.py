"""Which soundscapes are drawn for what: a seed for each purpose, and how many.

Soundscapes that are measured must be none of those that something was chosen on, so no
two purposes share a seed.
"""

from __future__ import annotations

from enum import IntEnum, unique

N_QUIET = 360
"""Soundscapes without events: an hour."""
N_RANGES = 128
"""Soundscapes that 8-bit arithmetic learns its ranges from."""
N_SOME = 300
"""Soundscapes of the smaller measurements of a model card."""


@unique
class Seed(IntEnum):
    """Seeds of the soundscapes that are not trained on."""

    VALIDATION = 1
    """Validation during training."""
    MEASURED = 2
    """What an exported file says of itself."""
    TUNED = 3
    """Calibration, thresholds and durations."""
    TUNED_QUIET = 4
    """False alarms, while thresholds are tuned."""
    CARD = 5
    """The lists that a model card rebuilds; also 6 to 9."""
    CARD_BY_RATIO = 6
    CARD_ALONE = 7
    CARD_QUIET = 8
    CARD_GAIN = 9
    RANGES = 10
    """What 8-bit arithmetic learns its ranges from."""
