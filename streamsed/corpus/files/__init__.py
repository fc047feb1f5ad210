"""Which files make up a corpus, and where they lie."""
