"""Live sound event detection: audio in, named events with exact times out."""

__version__ = "0.1.0"
