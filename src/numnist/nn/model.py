"""A network with its parameters and what it needs to know of its images."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.random import Generator

from numnist.arrays import Array
from numnist.errors import unknown
from numnist.nn.initialisers import INITIALISERS
from numnist.nn.layout import Layout
from numnist.nn.preprocess import Preprocess
from numnist.nn.sequential import Sequential


class Model:
    """A Sequential, its Preprocess, and the storage of its parameters.

    `parameters` and `buffers` are one flat vector each; the layers hold views into them, and so do the
    mappings that `named_parameters` and `named_buffers` return. A network belongs to one model at a time.

    Whoever changes parameters or buffers calls `mark_changed`, which raises `version`: what was derived from
    them (a folded or transposed copy) is rebuilt when the version has moved.

    `temperature` is what the logits are divided by where probabilities are wanted (see `fit_temperature`); 1
    until someone sets it.
    """

    def __init__(
        self, network: Sequential, preprocess: Preprocess, dtype: type[np.floating[Any]] = np.float32
    ) -> None:
        """Allocate the storage, all zeros; `initialise` fills it.

        Raises: ValueError when an image does not fit the network, or the network does not end in one number
                for each class.
        """
        output_shape = network.output_shape(preprocess.input_shape)
        if output_shape != (len(preprocess.classes),):
            raise ValueError(
                f"Model: expected the network to end in shape ({len(preprocess.classes)},), "
                f"one number for each class, got {output_shape}"
            )
        self.network = network
        self.preprocess = preprocess
        self.layout = Layout(network.parameter_shapes())
        self.buffer_layout = Layout(network.buffer_shapes())
        self.parameters: Array = np.zeros(self.layout.size, dtype)
        self.buffers: Array = np.zeros(self.buffer_layout.size, dtype)
        self.version = 0
        self.temperature = 1.0
        network.bind(self.named_parameters(), self.named_buffers())

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Come out of a pickle, or of `copy.deepcopy`: the layers hold views of this model's vectors."""
        self.__dict__.update(state)
        self.network.bind(self.named_parameters(), self.named_buffers())

    def initialise(self, rng: Generator, weights: str = "he_normal") -> "Model":
        """Draw the weights by the rule of this name (see `initialisers.INITIALISERS`); returns the model."""
        if weights not in INITIALISERS:
            raise ValueError(unknown("initialiser", weights, INITIALISERS))
        self.network.initialise(rng, INITIALISERS[weights])
        self.mark_changed()
        return self

    def move(self, parameters: Array) -> None:
        """Have the parameters in other memory, with the values that stand there.

        Views that were handed out before are of the old memory, which is the model's no longer.

        Shapes: parameters as they were, and of their dtype.
        """
        self.parameters = parameters
        self.network.bind(self.named_parameters(), self.named_buffers())
        self.mark_changed()

    def named_parameters(self) -> dict[str, Array]:
        """Every parameter by name ("0.weight"), as a view of `parameters`."""
        return self.layout.views(self.parameters)

    def named_buffers(self) -> dict[str, Array]:
        """Every buffer by name ("1.running_mean"), as a view of `buffers`."""
        return self.buffer_layout.views(self.buffers)

    def named_arrays(self) -> Iterator[tuple[str, Array]]:
        """Parameters, then buffers, by name: all that a model file holds."""
        yield from self.named_parameters().items()
        yield from self.named_buffers().items()

    def decay_mask(self) -> Array:
        """Flat boolean vector: True for the parameters that weight decay acts on."""
        return self.layout.mask(self.network.decayed_parameters())

    def mark_changed(self) -> None:
        """Say that parameters or buffers have changed."""
        self.version += 1
