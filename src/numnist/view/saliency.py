"""Which pixels a decision hangs on: four answers, all through the layers' own backward passes.

Each is a map of an image's size, in units of the logit of one class k: z_k.
"""

from collections.abc import Callable

import numpy as np

from numnist.arrays import Array
from numnist.data import resample_bilinear
from numnist.nn import BatchNorm, Conv2d, LeakyReLU, Model, ReLU, Sequential, Sigmoid, Tanh
from numnist.view.trace import flat_layers

STEPS = 64
"""Points of the path that integrated gradients take: the sum is then right to a few per mille."""

BATCH = 256
"""Images that are looked at at once."""

OCCLUDER = 5
"""Side of the square that is moved over the image, in pixels."""


def gradient(model: Model, image: Array, k: int) -> Array:
    """∂z_k / ∂image: by how much the logit rises per grey level of each pixel.

    Shapes: image (H, W) -> (H, W), float32.
    Source: Simonyan, Vedaldi & Zisserman 2014, arXiv:1312.6034, section 3.
    """
    return np.asarray(_gradients(model, image[None], k)[0])


def integrated_gradients(model: Model, image: Array, k: int, steps: int = STEPS) -> Array:
    """Each pixel's share in what sets the image apart from an empty one.

        s = image * 1/m * sum over i=1..m of ∂z_k/∂image at (i - 1/2)/m * image

    The sum over all pixels is z_k(image) - z_k(0), but for the error of the midpoint rule.

    Shapes: image (H, W) -> (H, W), in logits.
    Source: Sundararajan, Taly & Yan 2017, arXiv:1703.01365, equation 3.
    """
    shares = (np.arange(steps) + 0.5) / steps
    path = shares[:, None, None] * image.astype(np.float64)
    return np.asarray(image * _gradients(model, path.astype(np.float32), k).mean(axis=0))


def grad_cam(model: Model, image: Array, k: int) -> Array:
    """Where the maps of the last convolution speak for the class.

        w_c = mean over i,j of ∂z_k / ∂A[c,i,j]        s = max(0, sum over c of w_c A[c])

    with A the maps behind the last convolution and what directly follows it of normalisation and activation:
    what is normalised away must not count. s is brought to the image's size bilinearly.

    Shapes: image (H, W) -> (H, W).
    Raises: ValueError for a model without a convolution.
    Source: Selvaraju et al. 2017, arXiv:1610.02391, equations 1 and 2.
    """
    layers = flat_layers(model.network)
    last = max((i for i, layer in enumerate(layers) if isinstance(layer, Conv2d)), default=None)
    if last is None:
        raise ValueError("grad_cam: expected a model with a convolution")
    cut = last + 1
    while cut < len(layers) and isinstance(layers[cut], BatchNorm | ReLU | LeakyReLU | Sigmoid | Tanh):
        cut += 1
    front, back = Sequential(layers[:cut]), Sequential(layers[cut:])
    A, _ = front.forward(model.preprocess(image[None]), False, None)
    logits, caches = back.forward(A, False, None)
    dA, _ = back.backward(_one_logit(logits, k), caches)
    weights = dA.mean(axis=(2, 3), keepdims=True)
    found = np.maximum((weights * A).sum(axis=1), 0)[0]
    return _enlarged(found, image.shape)


def occlusion(model: Model, image: Array, k: int, side: int = OCCLUDER) -> Array:
    """By how much the logit falls where a square of background hides the pixel and its neighbours.

    Shapes: image (H, W) -> (H, W), in logits.
    Source: Zeiler & Fergus 2014, arXiv:1311.2901, section 4.2.
    """
    H, W = image.shape
    i, j = np.divmod(np.arange(H * W), W)
    [[of_image]] = [model.network.predict(model.preprocess(image[None]))[:, k]]
    falls = []
    for start in range(0, H * W, BATCH):
        part = slice(start, start + BATCH)
        rows = np.abs(i[part, None] - np.arange(H)) <= side // 2
        columns = np.abs(j[part, None] - np.arange(W)) <= side // 2
        hidden = np.where(rows[:, :, None] & columns[:, None, :], 0, image)
        falls.append(of_image - model.network.predict(model.preprocess(hidden))[:, k])
    return np.concatenate(falls).reshape(H, W)


METHODS: dict[str, Callable[[Model, Array, int], Array]] = {
    "gradient": gradient,
    "integrated gradients": integrated_gradients,
    "Grad-CAM": grad_cam,
    "occlusion": occlusion,
}
"""The maps by name."""


def methods_for(model: Model) -> dict[str, Callable[[Model, Array, int], Array]]:
    """Those of `METHODS` that make sense for a model: Grad-CAM needs a convolution."""
    convolves = any(isinstance(layer, Conv2d) for layer in flat_layers(model.network))
    return {name: method for name, method in METHODS.items() if convolves or method is not grad_cam}


def last_features(model: Model, images: Array, batch: int = 512) -> Array:
    """What the last layer with parameters is given: the network's own description of each image.

    Shapes: images (N, H, W) -> (N, F).
    Raises: ValueError for a model without parameters.
    """
    layers = flat_layers(model.network)
    last = max((i for i, layer in enumerate(layers) if layer.parameter_shapes()), default=None)
    if last is None:
        raise ValueError("last_features: expected a model with parameters")
    front = Sequential(layers[:last])
    parts = [
        front.predict(model.preprocess(images[start : start + batch]))
        for start in range(0, len(images), batch)
    ]
    return np.concatenate(parts).reshape(len(images), -1)


def _gradients(model: Model, images: Array, k: int) -> Array:
    """∂z_k / ∂image for each of several images, (N, H, W)."""
    logits, caches = model.network.forward(model.preprocess(images), False, None)
    dx, _ = model.network.backward(_one_logit(logits, k), caches)
    preprocess = model.preprocess
    return np.asarray(dx[:, 0] * np.float32(preprocess.scale / preprocess.std))


def _one_logit(logits: Array, k: int) -> Array:
    """The gradient of z_k, of every image, by the logits."""
    dlogits = np.zeros_like(logits)
    dlogits[:, k] = 1
    return dlogits


def _enlarged(values: Array, shape: tuple[int, ...]) -> Array:
    """A map brought to another size: its corners lie on the corners."""
    (h, w), (H, W) = values.shape, shape
    scaled = np.zeros((1, max(h, H), max(w, W)), np.float32)
    scaled[0, :h, :w] = values
    matrix = np.zeros((1, 2, 3))
    matrix[0, 0, 0], matrix[0, 1, 1] = (w - 1) / max(1, W - 1), (h - 1) / max(1, H - 1)
    return np.asarray(resample_bilinear(scaled, matrix)[0, :H, :W])
