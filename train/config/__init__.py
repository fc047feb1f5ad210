"""The settings of training, frozen and validated, and the presets that name them."""
