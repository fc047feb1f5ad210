"""How often a clip with speech would be saved, though speech is not to be.

A listener saves the sound of every event that it detects, a second before it included,
unless a score frame in the clip says speech (see `streamsed.live.sinks.speech_guard`).
Here the same is done with recordings whose truth is known: a clip that overlaps a reference
event of speech for longer than `OVERLAP` and would be saved is a miss.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from streamsed.config import FrontendConfig
from streamsed.events import Event
from streamsed.live.sinks.clips import POST_ROLL, PRE_ROLL
from streamsed.live.sinks.speech_guard import SPEECH
from train.evaluation.scoring import Scores

OVERLAP = 0.1
"""Seconds of speech that can be made out at all."""


def withheld_clips(
    scores: Sequence[Scores],
    estimated: Sequence[Sequence[Event]],
    reference: Sequence[Sequence[Event]],
    *,
    labels: Sequence[str],
    limit: float,
    config: FrontendConfig,
) -> dict[str, int]:
    """Count the clips of detected events, with and without speech, and those withheld.

    Parameters
    ----------
    scores : sequence of float32 (H, K)
        Of each recording.
    estimated, reference : sequence of sequence of Event
        What was detected in each, and its truth.
    labels : sequence of str
        Columns of the scores; one is `Speech`.
    limit : float
        Score from which a frame is speech; see `speech_limit`.
    config : FrontendConfig
        The grid of the scores.

    Returns
    -------
    dict
        `with_speech` and `saved` of them (the misses); `without` and `withheld` of them.
    """
    column, duration = list(labels).index(SPEECH), config.score_frame_duration
    counts = {"with_speech": 0, "saved": 0, "without": 0, "withheld": 0}
    for rows, found, truth in zip(scores, estimated, reference, strict=True):
        spoken = [event for event in truth if event.label == SPEECH]
        for event in found:
            start, stop = max(0.0, event.onset - PRE_ROLL), event.offset + POST_ROLL
            first, last = math.floor(start / duration), math.ceil(stop / duration)
            kept_back = bool((rows[first:last, column] >= limit).any())
            has_speech = any(
                min(each.offset, stop) - max(each.onset, start) > OVERLAP
                for each in spoken
            )
            counts["with_speech" if has_speech else "without"] += 1
            counts["saved"] += has_speech and not kept_back
            counts["withheld"] += kept_back and not has_speech
    return counts
