"""Training: losses, optimisers and schedules for `ca.fit`, and the results of a run."""

from convalg.maps.losses import CrossEntropy, Loss, MeanSquaredError
from convalg.train.loop import History, Progress, evaluate, fit
from convalg.train.optimisers import SGD, Adam, AdamW, Optimiser
from convalg.train.schedules import Cosine, StepDecay, WarmUp

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Cosine",
    "CrossEntropy",
    "History",
    "Loss",
    "MeanSquaredError",
    "Optimiser",
    "Progress",
    "StepDecay",
    "WarmUp",
    "evaluate",
    "fit",
]
