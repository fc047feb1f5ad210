"""Pictures of the log-mel spectrogram: live ones, and one of every event."""
