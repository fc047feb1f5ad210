"""What a network scores, and how its scores best become events."""
