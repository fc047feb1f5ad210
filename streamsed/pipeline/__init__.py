"""The stages that a stream passes, from samples to events; `streamsed.detector` joins them."""
