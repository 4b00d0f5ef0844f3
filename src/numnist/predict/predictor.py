"""What a model says of images: the one way in which everything that shows predictions asks it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from numnist.arrays import Array
from numnist.data import prepare_image, prepare_number
from numnist.engine import Engine
from numnist.errors import InputError
from numnist.nn import Executor, Model, Preprocess, load_model
from numnist.ops import log_softmax, softmax
from numnist.predict.views import views

BATCH = 1024
"""Images per call of the network, so that memory stays bounded however many there are."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says of one image.

    image: (H, W) uint8, what the network saw. probabilities: (K,), they sum to 1. classes: their K names.
    rejected: whether the model is less sure than was asked for.
    """

    image: Array
    probabilities: Array
    classes: tuple[str, ...]
    rejected: bool = False

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
    """One model or several, with all that is needed to ask them: preparation, preprocessing, probabilities.

    Several models are asked together: their probabilities are averaged. With `tta`, so are those of several
    views of each image (see `views`).
    """

    def __init__(
        self,
        *models: Model,
        tta: bool = False,
        reject: float = 0.0,
        executor: Callable[[Model], Executor] = Engine,
    ) -> None:
        """reject: predictions that are less probable than this are marked as rejected. executor: makes what
        runs a model.

        Raises: ValueError unless there is a model, and all take the same images and know the same classes.
        """
        if not models:
            raise ValueError("Predictor: expected one model or more, got none")
        if not 0 <= reject <= 1:
            raise ValueError(f"Predictor: expected reject from 0 to 1, got {reject}")
        for model in models[1:]:
            _require_alike(models[0].preprocess, model.preprocess)
        self.models, self.tta, self.reject = models, tta, reject
        self._executors = [executor(model) for model in models]

    @classmethod
    def load(
        cls,
        *paths: Path,
        tta: bool = False,
        reject: float = 0.0,
        executor: Callable[[Model], Executor] = Engine,
    ) -> "Predictor":
        """The predictor of model files; InputError naming the one that cannot be used."""
        models = [load_model(path) for path in paths]
        for path, model in zip(paths, models, strict=True):
            try:
                _require_alike(models[0].preprocess, model.preprocess)
            except ValueError as error:
                raise InputError(f"{path}: beside {paths[0]}: {error}") from error
        return cls(*models, tta=tta, reject=reject, executor=executor)

    @property
    def preprocess(self) -> Preprocess:
        """What the images of the first model look like; those of the others have the same size."""
        return self.models[0].preprocess

    def logits(self, images: Array) -> Array:
        """Numbers whose softmax is the probabilities: calibrated logits, or logarithms of averages.

            z = logits / T                                              for one model and one view
            z = log (1/M * sum over m of softmax(logits_m / T_m))       over models and views

        with each model's own temperature T (`Model.temperature`).

        Shapes: images (N, H, W) as the models were trained on -> (N, K), float32; N may be 0.
        Raises: ValueError for images of another size.
        """
        batches = [self._logits(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
        return np.concatenate(batches or [np.zeros((0, len(self.preprocess.classes)), np.float32)])

    def probabilities(self, images: Array) -> Array:
        """Softmax of the logits. Shapes and errors as there."""
        logits = self.logits(images)
        return softmax.forward(logits)[0] if len(logits) else logits

    def predict(self, images: Array) -> list[Prediction]:
        """The predictions for images in the form that the model was trained on. Shapes: (N, H, W)."""
        classes = self.preprocess.classes
        together = zip(images, self.probabilities(images), strict=True)
        return [
            # `not >=`, so that NaN is rejected.
            Prediction(image, probabilities, classes, not probabilities.max() >= self.reject)
            for image, probabilities in together
        ]

    def read(self, grey: Array) -> Prediction:
        """The digit in a picture, dark on light or light on dark, of any size.

        For models that were trained on bytes (`Preprocess.takes_bytes`), which is what it is brought to.

        Shapes: grey (H, W), 0 to 255.
        Raises: NoInkError for a blank page.
        """
        return self.predict(prepare_image(grey, image_size=self.preprocess.image_size)[np.newaxis])[0]

    def read_number(self, grey: Array) -> list[Prediction]:
        """The digits of a number in a picture, from left to right; shapes and errors as in `read`."""
        return self.predict(prepare_number(grey, image_size=self.preprocess.image_size))

    def _logits(self, images: Array) -> Array:
        """The logits of one batch."""
        # Weights that are huge overflow here; logits that are not finite say it.
        with np.errstate(over="ignore", invalid="ignore"):
            each = self._logits_of_each(images)
            if len(each) == 1:
                return each[0]
            log_probabilities = np.stack([log_softmax.forward(logits)[0] for logits in each])
            return np.asarray(np.logaddexp.reduce(log_probabilities) - np.float32(np.log(len(each))))

    def _logits_of_each(self, images: Array) -> list[Array]:
        """The logits of each model for each view of the images."""
        return [
            executor.predict(model.preprocess(view)) / np.float32(model.temperature)
            for view in (views(images) if self.tta else [images])
            for model, executor in zip(self.models, self._executors, strict=True)
        ]


def _require_alike(first: Preprocess, other: Preprocess) -> None:
    """ValueError saying what differs, unless models with these can be asked about the same images."""
    for name in ("image_size", "classes", "takes_bytes"):
        ours, theirs = getattr(first, name), getattr(other, name)
        if ours != theirs:
            words = {"takes_bytes": "whether they take bytes:"}.get(name, name)
            raise ValueError(f"expected models of one kind of images, got {words} {ours} and {theirs}")
