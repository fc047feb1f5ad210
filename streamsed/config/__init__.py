"""The settings stored in a model file: three frozen, validated dataclasses.

`FrontendConfig` defines log-mel frames and segments, `StreamConfig` how often segments
are scored and when scores are final, `PostConfig` how scores become events. Each converts
to a plain dict and back; an unknown key is an error, so that a misspelt setting is not
silently ignored.

Units: Hz and seconds outside, frames inside. One *frame* is one column of the log-mel
spectrogram (`hop_length` samples); one *score frame* is `subsampling` frames.
"""

from streamsed.config.frontend import FrontendConfig
from streamsed.config.post import PerLabel, PostConfig
from streamsed.config.stream import StreamConfig

__all__ = ["FrontendConfig", "PerLabel", "PostConfig", "StreamConfig"]
