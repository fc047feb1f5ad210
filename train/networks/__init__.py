"""The networks: the report's, the baseline's, and several that vote."""
