"""`python -m streamsed` is `streamsed`."""

from streamsed.cli import main

main()
