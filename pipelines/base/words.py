"""The words that reports have for settings."""

AVERAGES = {
    "none": "one pass",
    "rotations": "7 rotated versions averaged",
    "flips": "4 flips averaged",
    "symmetries": "8 symmetries averaged",
}
"""Of the ways of averaging."""
