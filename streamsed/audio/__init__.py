"""Where samples come from: files, pipes and microphones."""
