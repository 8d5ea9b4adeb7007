"""Figures and reports; needs matplotlib (the extra ``figures``)."""
