"""Let a file step the clock of a program: it holds the seconds to add, or nothing."""

import os
import time
from pathlib import Path

_path = Path(os.environ["CLOCK_STEP"])
_now = time.time


def _stepped() -> float:
    return _now() + float(_path.read_text() or 0)


time.time = _stepped
