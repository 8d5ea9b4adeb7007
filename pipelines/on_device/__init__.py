"""Trainings that share a device: packed sets in, jobs that take turns, maps of 8 bit out."""
