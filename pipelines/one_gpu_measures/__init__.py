"""What the maps of :mod:`pipelines.one_gpu` are worth: ``python -m pipelines.one_gpu_measures``."""
