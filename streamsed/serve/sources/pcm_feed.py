"""Decode raw PCM of a feed to pieces."""

from __future__ import annotations

from streamsed.audio.pcm import PcmDecoder
from streamsed.audio.source import Piece


class PcmPieces:
    """Return each chunk of samples as a piece: a `Decoder`.

    Parameters
    ----------
    decoder : PcmDecoder
        Decodes the samples.
    """

    trouble = ""

    def __init__(self, decoder: PcmDecoder) -> None:
        self._decoder = decoder
        self.notices: list[str] = []

    def push(self, data: bytes) -> list[Piece]:
        """Decode the next bytes, of any length."""
        piece = self._decoder.push(data)
        return [piece] if len(piece.samples) else []
