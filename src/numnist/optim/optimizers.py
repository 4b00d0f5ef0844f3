"""The update rules: SGD, Momentum, Nesterov, RMSProp, Adam, AdamW.

Each docstring gives the rule for the gradient g of update number t = 1, 2, ...; weight decay, where it is on,
has acted before (`numnist.optim.decay`). All arrays that a rule keeps start at zero. The conventions are
PyTorch's, and the first ten steps of each optimizer are tested to be PyTorch's numbers.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, final

import numpy as np

from numnist.arrays import Array
from numnist.optim.base import Optimizer, State
from numnist.optim.hyperparameters import Fraction, NonNegative, Positive


@final
@dataclass(frozen=True, kw_only=True)
class SGD(Optimizer):
    """Stochastic gradient descent.

        p ← p − lr·g

    Source: Robbins & Monro 1951, Annals of Mathematical Statistics 22(3), 400-407.
    """

    def direction(self, g: Array, state: State) -> Array:  # noqa: ARG002  (plain SGD remembers nothing)
        """The gradient itself."""
        return g


@final
@dataclass(frozen=True, kw_only=True)
class Momentum(Optimizer):
    """Gradient descent with (heavy-ball) momentum.

        v ← μ·v + g
        p ← p − lr·v

    momentum: μ, the share of the velocity v that stays from one step to the next.

    Where others disagree: here, as in PyTorch and optax, the learning rate multiplies the velocity. In
            Sutskever et al. and in Keras it multiplies the gradient inside: v ← μ·v − lr·g, p ← p + v. The
            two are the same as long as the learning rate is constant.
    Source: Polyak 1964, USSR Computational Mathematics and Mathematical Physics 4(5), 1-17; Sutskever,
            Martens, Dahl & Hinton 2013, "On the importance of initialization and momentum in deep learning",
            ICML, section 2.
    """

    SLOTS = ("velocity",)

    momentum: Fraction = 0.9

    def direction(self, g: Array, state: State) -> Array:
        """The new velocity v."""
        v = state.slots["velocity"]
        v *= self.momentum
        v += g
        return v


@final
@dataclass(frozen=True, kw_only=True)
class Nesterov(Optimizer):
    """Gradient descent with Nesterov's accelerated momentum.

        v ← μ·v + g
        p ← p − lr·(g + μ·v)

    Nesterov takes the gradient at the point that momentum alone would reach. Here p is that point: a change
    of variables from the paper's form, after which the gradient at p is all that is needed.

    momentum: μ, the share of the velocity v that stays from one step to the next.

    Where others disagree: as for `Momentum`.
    Source: Nesterov 1983, Soviet Mathematics Doklady 27, 372-376; Sutskever et al. 2013 (see `Momentum`),
            equations 3 and 4; in this form Bengio, Boulanger-Lewandowski & Pascanu 2012, arXiv:1212.0901,
            section 3.5.
    """

    SLOTS = ("velocity",)

    momentum: Fraction = 0.9

    def direction(self, g: Array, state: State) -> Array:
        """The gradient plus a share of the new velocity, g + μ·v."""
        v = state.slots["velocity"]
        v *= self.momentum
        v += g
        d = np.multiply(self.momentum, v, out=state.scratch)
        d += g
        return d


@final
@dataclass(frozen=True, kw_only=True)
class RMSProp(Optimizer):
    """Gradient descent with each component divided by its recent root mean square.

        v ← α·v + (1 − α)·g²
        p ← p − lr·g / (√v + ε)

    alpha: α, the share of the mean square v that stays from one step to the next.
    eps: ε, keeps the division finite where the gradient has been zero.

    Where others disagree: ε is added after the root, as in PyTorch; optax (unless told otherwise) and Keras
            add it under the root. α is 0.99 as in PyTorch; the lecture, optax and Keras have 0.9.
    Source: Tieleman & Hinton 2012, Neural Networks for Machine Learning (Coursera), lecture 6.5.
    """

    SLOTS = ("mean_square",)

    alpha: Fraction = 0.99
    eps: Positive = 1e-8

    def direction(self, g: Array, state: State) -> Array:
        """The gradient over its root mean square, g / (√v + ε)."""
        v, out = state.slots["mean_square"], state.scratch
        _average(v, self.alpha, np.square(g, out=out), scratch=out)
        root = np.sqrt(v, out=out)
        root += self.eps
        return np.divide(g, root, out=out)


@final
@dataclass(frozen=True, kw_only=True)
class Adam(Optimizer):
    """Adaptive moment estimation: momentum, divided by the root mean square of the gradient.

        m ← β₁·m + (1 − β₁)·g           m̂ = m / (1 − β₁ᵗ)
        v ← β₂·v + (1 − β₂)·g²          v̂ = v / (1 − β₂ᵗ)
        p ← p − lr·m̂ / (√v̂ + ε)

    The divisions by 1 − βᵗ, t = 1 for the first update, undo the bias of averages that start at zero: for a
    constant gradient m̂ = g and v̂ = g² from the first step on.

    beta1: β₁, the share of the mean m that stays from one step to the next.
    beta2: β₂, the same for the mean square v.
    eps: ε, keeps the division finite where the gradient has been zero.

    Where others disagree: ε is added to the root of the corrected v̂, as in the paper's algorithm 1, PyTorch
            and optax. Keras adds it to the root of v itself (the "ε̂" of the paper's section 2), where it
            weighs more in the first steps, and its default is 1e-7.
    Source: Kingma & Ba 2015, arXiv:1412.6980, algorithm 1.
    """

    SLOTS = ("m", "v")

    beta1: Fraction = 0.9
    beta2: Fraction = 0.999
    eps: Positive = 1e-8

    def direction(self, g: Array, state: State) -> Array:
        """The mean gradient over its root mean square, m̂ / (√v̂ + ε), but for `scale`."""
        return adam_direction(g, state, self.beta1, self.beta2, self.eps)

    def scale(self, step: int) -> float:
        """a/b of `adam_direction`."""
        a, b = corrections(step, self.beta1, self.beta2)
        return a / b


@final
@dataclass(frozen=True, kw_only=True)
class AdamW(Optimizer):
    """Adam with decoupled weight decay.

        p ← p − lr·λ·p
        p ← p − lr·m̂ / (√v̂ + ε)        with m̂ and v̂ of `Adam`, whose rule and hyperparameters these are

    weight_decay: λ, the strength of the decay.
    decay: "decoupled" and nothing else; coupled decay is `Adam(weight_decay=...)`.

    Where others disagree: the default of λ is PyTorch's; optax has 1e-4 and Keras 0.004. See
            `numnist.optim.decay` for the factor lr.
    Source: Loshchilov & Hutter 2019, arXiv:1711.05101, algorithm 2.
    """

    SLOTS = ("m", "v")

    beta1: Fraction = 0.9
    beta2: Fraction = 0.999
    eps: Positive = 1e-8
    weight_decay: NonNegative = 0.01
    decay: Literal["decoupled"] = "decoupled"

    def direction(self, g: Array, state: State) -> Array:
        """The mean gradient over its root mean square, m̂ / (√v̂ + ε), but for `scale`."""
        return adam_direction(g, state, self.beta1, self.beta2, self.eps)

    def scale(self, step: int) -> float:
        """a/b of `adam_direction`."""
        a, b = corrections(step, self.beta1, self.beta2)
        return a / b


def adam_direction(g: Array, state: State, beta1: float, beta2: float, eps: float) -> Array:
    """The rule of Adam and AdamW, whose formula stands at `Adam`: d = m̂ / (√v̂ + ε).

    The slots hold m and v without the factors 1 − β of their averages, M = m / (1 − β₁) and V = v / (1 − β₂),
    which saves passes over the parameters:

        M ← β₁·M + g        V ← β₂·V + g²        m̂ = a·M        v̂ = b²·V
        d = a/b · M / (√V + ε/b)        a = (1 − β₁) / (1 − β₁ᵗ)        b² = (1 − β₂) / (1 − β₂ᵗ)

    It updates the slots, and returns d without its factor a/b, in `state.scratch`.
    """
    M, V, out = state.slots["m"], state.slots["v"], state.scratch
    M *= beta1
    M += g
    V *= beta2
    V += np.square(g, out=out)
    _, b = corrections(state.step, beta1, beta2)
    root = np.sqrt(V, out=out)
    root += eps / b
    return np.divide(M, root, out=out)


def corrections(t: int, beta1: float, beta2: float) -> tuple[float, float]:
    """a and b of `adam_direction` for update number t."""
    return (1 - beta1) / (1 - beta1**t), math.sqrt((1 - beta2) / (1 - beta2**t))


def _average(mean: Array, beta: float, x: Array, scratch: Array) -> None:
    """Exponential moving average, in place: mean ← β·mean + (1 − β)·x. `x` may be `scratch` itself."""
    mean *= beta
    mean += np.multiply(1 - beta, x, out=scratch)


OPTIMIZERS: Mapping[str, type[Optimizer]] = {
    "sgd": SGD,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "rmsprop": RMSProp,
    "adam": Adam,
    "adamw": AdamW,
}
"""The optimizers by the names that configuration files use."""
