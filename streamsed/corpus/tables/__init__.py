"""The tables of a corpus: writing, reading and searching."""
