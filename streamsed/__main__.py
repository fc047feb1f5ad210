"""`streamsed`, which is `python -m streamsed` too."""

from streamsed.terminal import ended_by_interrupts

with ended_by_interrupts():
    from streamsed.cli.app import main

if __name__ == "__main__":
    main()
