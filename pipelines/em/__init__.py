"""The EM experiment: slices and folds, files, the challenge's measures, the report."""
