"""`python -m train`."""

import sys
from importlib.util import find_spec

from streamsed.installation import install_command
from streamsed.terminal import ended_by_interrupts

if __name__ == "__main__":
    if find_spec("torch") is None:
        command = install_command("train")
        print(f"train: error: training needs torch; {command}", file=sys.stderr)
        sys.exit(2)
    with ended_by_interrupts():
        from train.cli.app import main

    main()
