"""The sources that are detected in: their runs, and what they do at each visit."""
