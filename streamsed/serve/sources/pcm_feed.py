"""Raw PCM of a feed as pieces."""

from __future__ import annotations

from streamsed.audio.pcm import PcmDecoder
from streamsed.audio.source import Piece


class PcmPieces:
    """Make a piece of whatever samples came: a `Decoder`.

    Parameters
    ----------
    decoder : PcmDecoder
        Knows the samples.
    """

    trouble = ""

    def __init__(self, decoder: PcmDecoder) -> None:
        self._decoder = decoder
        self.notices: list[str] = []

    def push(self, data: bytes) -> list[Piece]:
        """Take the next bytes, cut anywhere."""
        piece = self._decoder.push(data)
        return [piece] if len(piece.samples) else []
