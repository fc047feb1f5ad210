"""The files of a corpus: listing, sharding and access."""
