"""Probabilities to instance labels."""
