"""Optimizers, learning-rate schedules and gradient clipping: what happens to a gradient.

An optimizer knows nothing of schedules, nor a schedule of optimizers; the loop brings them together:

    optimizer = Adam(weight_decay=1e-4)
    schedule = OneCycle(peak=0.01, total_steps=1000)
    state = optimizer.init(params)
    for grads in ...:
        clip_gradient_norm(grads, max_norm=1.0)
        optimizer.step(params, grads, state, lr=schedule(state.step))
"""

from numnist.optim.average import WeightAverage
from numnist.optim.base import Optimizer, State
from numnist.optim.clip import clip_gradient_norm
from numnist.optim.decay import Decay
from numnist.optim.optimizers import OPTIMIZERS, SGD, Adam, AdamW, Momentum, Nesterov, RMSProp
from numnist.optim.schedules import (
    SCHEDULES,
    Constant,
    Cosine,
    Exponential,
    MultiStep,
    OneCycle,
    Schedule,
    Step,
    WarmUp,
)
from numnist.optim.update import Update

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "SGD",
    "Adam",
    "AdamW",
    "Constant",
    "Cosine",
    "Decay",
    "Exponential",
    "Momentum",
    "MultiStep",
    "Nesterov",
    "OneCycle",
    "Optimizer",
    "RMSProp",
    "Schedule",
    "State",
    "Step",
    "Update",
    "WarmUp",
    "WeightAverage",
    "clip_gradient_norm",
]
