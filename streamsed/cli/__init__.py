"""The command line, one module per command: parse options, print tables."""
