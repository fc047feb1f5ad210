"""The stages of the detector, from samples to events; see `streamsed.detector`."""
