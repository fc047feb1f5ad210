"""Detection in recordings: files in, results out."""
