"""The commands of the command line: options to settings, settings to work."""
