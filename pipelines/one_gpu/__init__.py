"""The paper's tables at full width on one GPU: ``python -m pipelines.one_gpu``."""
