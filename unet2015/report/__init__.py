"""Figures, and reports made of them; needs matplotlib (the extra ``figures``)."""
