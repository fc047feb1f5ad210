"""Inference: model files, and the engines that run their networks."""
