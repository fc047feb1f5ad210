"""Settings of training, frozen and validated, and named presets."""
