"""How a grey image becomes what the network sees."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

import numpy as np

from numnist.arrays import Array, Shape
from numnist.nn.checks import require_integer, require_number

DIGITS = tuple("0123456789")

PART = 1000
"""Images that are measured at once: in float64 they take eight times what they do as bytes."""


@dataclass(frozen=True)
class Preprocess:
    """A model's contract with its images; saved with it and applied in this one place, `__call__`.

    image_size: (H, W) in pixels. scale: what grey values are multiplied by (1/255 for uint8).
    mean, std: of the scaled grey values of the training set. classes: the name of each class, in order.
    """

    image_size: tuple[int, int] = (28, 28)
    scale: float = 1 / 255
    mean: float = 0.0
    std: float = 1.0
    classes: tuple[str, ...] = DIGITS

    def __post_init__(self) -> None:
        if len(self.image_size) != 2:
            raise ValueError(f"Preprocess: expected image_size (H, W), got {self.image_size!r}")
        for size in self.image_size:
            require_integer("Preprocess", "image_size", size, 1)
        require_number("Preprocess", "scale", self.scale, np.nextafter(0, 1), np.inf)
        require_number("Preprocess", "mean", self.mean, -np.inf, np.inf)
        require_number("Preprocess", "std", self.std, np.nextafter(0, 1), np.inf)
        if not self.classes or not all(isinstance(name, str) for name in self.classes):
            raise ValueError(f"Preprocess: expected the names of one class or more, got {self.classes!r}")

    @property
    def input_shape(self) -> Shape:
        """Shape of one sample as the network takes it: one channel, (1, H, W)."""
        return (1, *self.image_size)

    @property
    def takes_bytes(self) -> bool:
        """Whether it was fitted to grey values from 0 to 255; others are taken as they are, with scale 1."""
        return self.scale != 1

    def __call__(self, images: Array, dtype: type[np.floating[Any]] = np.float32) -> Array:
        """Scale and standardise grey images.

            x[n,0,i,j] = (scale * image[n,i,j] - mean) / std

        Shapes: images (N, H, W), uint8 or any other number -> x (N, 1, H, W) in dtype; the images' own memory
                where nothing is to be done.
        Raises: ValueError for images of another size.
        """
        if images.ndim != 3 or images.shape[1:] != self.image_size:
            H, W = self.image_size
            raise ValueError(f"Preprocess: expected images of shape (N, {H}, {W}), got {images.shape}")
        if (self.scale, self.mean, self.std) == (1, 0, 1):  # a pass over a batch is a tenth of an MLP's step
            return images.astype(dtype, copy=False)[:, np.newaxis]
        x = images.astype(dtype)
        x *= self.scale
        x -= self.mean
        x /= self.std
        return x[:, np.newaxis]

    @classmethod
    def fit(cls, images: Array, classes: Sequence[str] = DIGITS) -> "Preprocess":
        """Measure scale, mean and standard deviation on training images.

        uint8 images are scaled by 1/255, others are taken as they are. Images that are all the same have
        std 1.

        Shapes: images (N, H, W), N >= 1.
        """
        return cls.fit_parts(
            lambda: (images[start : start + PART] for start in range(0, len(images), PART)), classes
        )

    @classmethod
    def fit_parts(cls, parts: Callable[[], Iterable[Array]], classes: Sequence[str] = DIGITS) -> "Preprocess":
        """`fit` on images that need not be in memory together.

        parts: gives them, some at a time, whenever it is called; it is, twice.
        """
        n, total, low, high = 0, 0.0, np.inf, -np.inf
        for part in parts():
            scale = 1 / 255 if part.dtype == np.uint8 else 1.0
            image_size: tuple[int, int] = part.shape[1:]
            n += part.size
            total += float((part.astype(np.float64) * scale).sum())
            low, high = min(low, part.min()), max(high, part.max())
        mean = total / n
        squares = (np.square(part.astype(np.float64) * scale - mean).sum() for part in parts())
        std = sqrt(sum(float(square) for square in squares) / n)
        return cls(image_size, scale, mean, 1.0 if low == high else std, tuple(classes))

    def describe(self) -> dict[str, Any]:
        """The record as plain values."""
        return asdict(self)

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> "Preprocess":
        """The record from plain values; ValueError naming what is missing, unknown or wrong."""
        expected = set(cls.__dataclass_fields__)
        if not isinstance(description, Mapping) or set(description) != expected:
            raise ValueError(f"Preprocess: expected the fields {', '.join(sorted(expected))}")
        for name in ("image_size", "classes"):
            if not isinstance(description[name], list | tuple):
                raise ValueError(f"Preprocess: expected {name} to be a list, got {description[name]!r}")
        values = dict(description)
        values["image_size"], values["classes"] = tuple(values["image_size"]), tuple(values["classes"])
        return cls(**values)
