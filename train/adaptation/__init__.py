"""A few of one's own recordings added to a model file, without forgetting its labels."""
