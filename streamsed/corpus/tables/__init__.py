"""What a corpus is written to, and read from."""
