"""Pictures of the log-mel: those that move, and one of every event."""
