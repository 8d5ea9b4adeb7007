"""Overlap tiles: the plan (pure integers) and the engine that carries it out."""
