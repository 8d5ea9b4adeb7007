"""Experiments: one a file, each a chain of stages joined by files."""
