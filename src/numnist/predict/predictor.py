"""What a model says of images: the one way in which everything that shows predictions asks it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from numnist.arrays import Array
from numnist.data import prepare_image, prepare_number
from numnist.engine import Engine
from numnist.nn import Executor, Model, load_model
from numnist.ops import softmax

BATCH = 1024
"""Images per call of the network, so that memory stays bounded however many there are."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says of one image.

    image: (H, W) uint8, what the network saw. probabilities: (K,), they sum to 1. classes: their K names.
    """

    image: Array
    probabilities: Array
    classes: tuple[str, ...]

    @property
    def label(self) -> str:
        """The most probable class."""
        return self.classes[int(self.probabilities.argmax())]

    @property
    def probability(self) -> float:
        """How probable the model holds it."""
        return float(self.probabilities.max())

    def ranked(self) -> list[tuple[str, float]]:
        """Classes and probabilities, the most probable first; of equals, in the order of the classes."""
        order = np.argsort(-self.probabilities, kind="stable")
        return [(self.classes[k], float(self.probabilities[k])) for k in order]


class Predictor:
    """A model with all that is needed to ask it: preparation, preprocessing, batches, probabilities."""

    def __init__(self, model: Model, executor: Executor | None = None) -> None:
        """executor: runs the model; None for the engine."""
        self.model = model
        self._executor = executor or Engine(model)

    @classmethod
    def load(cls, path: Path) -> "Predictor":
        """The predictor of a model file; InputError naming it when it cannot be used."""
        return cls(load_model(path))

    def probabilities(self, images: Array) -> Array:
        """Softmax of the logits, for images in the form that the model was trained on.

        Shapes: images (N, H, W), H and W the model's -> (N, K), float32; N may be 0.
        Raises: ValueError for images of another size.
        """
        logits = list(self._logits(images))
        if not logits:
            return np.zeros((0, len(self.model.preprocess.classes)), np.float32)
        y, _ = softmax.forward(np.concatenate(logits))
        return y

    def predict(self, images: Array) -> list[Prediction]:
        """The predictions for images in the form that the model was trained on. Shapes: (N, H, W)."""
        classes = self.model.preprocess.classes
        together = zip(images, self.probabilities(images), strict=True)
        return [Prediction(image, probabilities, classes) for image, probabilities in together]

    def read(self, grey: Array) -> Prediction:
        """The digit in a picture, dark on light or light on dark, of any size.

        For models that were trained on bytes (`Preprocess.takes_bytes`), which is what it is brought to.

        Shapes: grey (H, W), 0 to 255.
        Raises: NoInkError for a blank page.
        """
        return self.predict(prepare_image(grey, image_size=self.model.preprocess.image_size)[np.newaxis])[0]

    def read_number(self, grey: Array) -> list[Prediction]:
        """The digits of a number in a picture, from left to right; shapes and errors as in `read`."""
        return self.predict(prepare_number(grey, image_size=self.model.preprocess.image_size))

    def _logits(self, images: Array) -> Iterator[Array]:
        """Logits of one batch after the other."""
        for start in range(0, len(images), BATCH):
            yield self._executor.predict(self.model.preprocess(images[start : start + BATCH]))
