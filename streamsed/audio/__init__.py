"""Audio input: files, pipes and microphones."""
