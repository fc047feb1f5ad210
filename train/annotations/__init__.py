"""Lists of events and scores on disk, and the data sets they belong to."""
