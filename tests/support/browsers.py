"""A browser for the tests: Debian's chromium, or what else there is of its family."""

import shutil

NAMES = ("chromium", "google-chrome", "chromium-browser")
"""Ubuntu has chromium as a snap alone, and its runners have Chrome."""


def find_browser():
    """Return the path of a browser, or None."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)
