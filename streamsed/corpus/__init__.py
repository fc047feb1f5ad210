"""Detection in large corpora: many recordings in, tables out, resumable at any point."""
