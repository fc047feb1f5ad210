"""`python -m streamsed` is `streamsed`."""

from streamsed.cli.app import main

main()
