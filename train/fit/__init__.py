"""Training runs: the loop, its losses, and what it leaves on disk."""
