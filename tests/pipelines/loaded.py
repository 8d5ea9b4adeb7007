"""Loads what torch loads as a network first runs without data: 800 modules, for 2 to 3 seconds.

Imported by a server of forks, so that its children, which a test kills, have it.
"""

from tests.pipelines import killed  # noqa: F401  # which loads torch and the experiment
from unet2015.settings import TrainingSettings
from unet2015.training.memory import activation_bytes

activation_bytes(TrainingSettings(), 1, 252)
