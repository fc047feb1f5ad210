"""The command line, a file for each command: options to settings, tables to the screen."""
