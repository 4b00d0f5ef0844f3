"""The average of the weights over the last steps of training, which does better than the last weights do."""

from dataclasses import dataclass

import numpy as np

from numnist.arrays import Array


@dataclass(eq=False)
class WeightAverage:
    """An exponential moving average of parameters and buffers, whose decay warms up.

        β_t = min(β, (1 + t) / (10 + t))        a ← a + (1 − β_t)·(w − a)        for update t = 1, 2, ...

    It lives beside the model, and training never sees it. With the warm-up it has forgotten the random
    weights from before the first step soon; with β = 0.999 alone they would make a third of it after 1,000.

    decay: β, in [0, 1). parameters, buffers: the averages a, where they begin. updates: t. is_swapped:
    whether the weights are here and the averages in their place (see `swap`).

    Buffers (the running statistics) are averaged too, since they belong to the weights they were taken with.

    Where others disagree: the warm-up is that of TensorFlow's ExponentialMovingAverage; PyTorch's
            AveragedModel has none, and copies or recomputes the buffers.
    Raises: ValueError for a decay out of bounds.
    Source: Polyak & Juditsky 1992, SIAM J. Control and Optimization 30(4), 838-855; exponential as in
            Tarvainen & Valpola 2017, arXiv:1703.01780, section 2.
    """

    decay: float
    parameters: Array
    buffers: Array
    updates: int = 0
    is_swapped: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.decay < 1:
            raise ValueError(f"WeightAverage: expected 0 <= decay < 1, got {self.decay}")
        self._difference = np.empty(max(self.parameters.size, self.buffers.size), self.parameters.dtype)

    def update(self, parameters: Array, buffers: Array) -> None:
        """Take in the weights behind another step.

        Raises: ValueError when their shapes are not those of the average.
        """
        self.updates += 1
        rate = 1 - min(self.decay, (1 + self.updates) / (10 + self.updates))
        for average, value in ((self.parameters, parameters), (self.buffers, buffers)):
            if value.shape != average.shape:
                raise ValueError(f"WeightAverage: expected shape {average.shape}, got {value.shape}")
            difference = np.subtract(value, average, out=self._difference[: average.size])
            difference *= rate
            average += difference

    def swap(self, parameters: Array, buffers: Array) -> None:
        """Exchange the average with these weights; a second time, and all is as before."""
        for average, value in ((self.parameters, parameters), (self.buffers, buffers)):
            kept = average.copy()
            average[...], value[...] = value, kept
        self.is_swapped = not self.is_swapped
