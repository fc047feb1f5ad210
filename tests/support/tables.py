"""What a rich table looks like on a terminal of 100 columns."""

import io

from rich.console import Console


def shown(renderable):
    console = Console(file=io.StringIO(), width=100)
    console.print(renderable)
    return console.file.getvalue()
