"""F1, PSDS and what they count, from reference and estimated events."""
