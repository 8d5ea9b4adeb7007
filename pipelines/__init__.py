"""Experiments as chains of stages joined by files, and the commands that measure and report.

A file here, or a folder with a ``__main__``, is a command, ``python -m pipelines.NAME``, but for two parts
that commands use: `fetch` (downloads) and `ablation` (stages of the EM experiment). The other folders hold
what the commands are built of: `base` (stages, settings, files, the command line), `em` and `cells` (the
paper's two experiments), `on_device` (packed sets, and trainings that share a GPU).
"""
