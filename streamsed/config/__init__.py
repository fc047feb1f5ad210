"""The three settings that travel inside a model file, each frozen and validated.

`FrontendConfig` says how samples become log-mel frames and segments, `StreamConfig` how
often segments are scored and how long a score may wait, `PostConfig` how scores become
events. Each converts to a plain dict and back; an unknown key is an error, because a
misspelt setting that is silently ignored is worse than none.

Units: Hz and seconds outside, frames inside. One *frame* is one column of the log-mel
spectrogram (`hop_length` samples); one *score frame* is `subsampling` frames.
"""

from streamsed.config.frontend import FrontendConfig
from streamsed.config.post import PerLabel, PostConfig
from streamsed.config.stream import StreamConfig

__all__ = ["FrontendConfig", "PerLabel", "PostConfig", "StreamConfig"]
