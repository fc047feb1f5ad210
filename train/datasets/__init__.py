"""Examples for training and sets to evaluate on: features, targets and scalings."""
