"""The cell experiment: sequences, what is trained on and measured, objects, the report."""
