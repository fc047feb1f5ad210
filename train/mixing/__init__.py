"""Soundscapes made from a bank of isolated sounds."""
