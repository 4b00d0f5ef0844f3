"""What a report shows of a single run: everything that its model and its records can tell."""

import base64
import io
from typing import Any

import matplotlib as mpl
import numpy as np
from PIL import Image

from numnist.arrays import Array
from numnist.data import Dataset, Split
from numnist.nn import Conv2d, Model, ReLU
from numnist.ops import softmax
from numnist.predict import Predictor, reliability
from numnist.train import Evaluation
from numnist.view.charts import Curve, line_chart, reliability_chart, spread_chart
from numnist.view.figures import LARGE, SIGNED
from numnist.view.mistakes import worst_mistakes
from numnist.view.run_record import RunRecord
from numnist.view.trace import flat_layers, trace

MISTAKES = 24
"""How many mistakes are shown: the worst, those whose label was held least probable."""

MAPS = 16
"""How many channels of a layer are shown."""

SHOWN_FILTERS = 32

LOOKED_AT = 500
"""Images by which it is told which units never answer."""

AT_ONCE = 50
"""Images that go through the layers together."""

TENSORS = 12
"""How many tensors' histograms are shown."""


def closer_look(record: RunRecord, dataset: Dataset | None) -> dict[str, Any]:
    """What the template is told; what cannot be shown is None or empty, and `left_out` says why."""
    look: dict[str, Any] = {
        "confusion": None, "classes": [], "mistakes": [], "reliability": None, "filters": [], "maps": [],
        "image": None, "dead": [], "spreads": _spreads(record), "timing": _timing(record), "left_out": "",
        "temperature": 1.0,
    }  # fmt: skip
    model = record.model
    if model is None:
        return look
    look["classes"] = list(model.preprocess.classes)
    look["filters"] = _filters(model)
    look["temperature"] = model.temperature
    test = _fitting(record, model, dataset)
    if isinstance(test, str):
        return look | {"left_out": test}
    return look | _on_images(model, test)


def _fitting(record: RunRecord, model: Model, dataset: Dataset | None) -> Split | str:
    """The test images, or why there are none."""
    if not record.result:
        return "There is no result of a test, so nothing is shown that needs test images."
    if dataset is None or dataset.test is None:
        return "The test images are not at hand, so nothing is shown that needs images."
    test, preprocess = dataset.test, model.preprocess
    fits = (
        test.images.shape[1:] == preprocess.image_size
        and (test.images.dtype == np.uint8) == preprocess.takes_bytes
        and len(preprocess.classes) > test.labels.max()
    )
    if record.result["dataset"]["fingerprint"] != dataset.fingerprint or not fits:
        name = dataset.name
        return f"The images at hand ({name}) are not those of this run: nothing is shown that needs images."
    return test


def _on_images(model: Model, test: Split) -> dict[str, Any]:
    """Confusion, mistakes, reliability, feature maps and dead units."""
    logits = Predictor(model).logits(test.images)
    p, _ = softmax.forward(logits)
    outcome = Evaluation.of(logits, test.labels)
    worst = worst_mistakes(p, test.labels, MISTAKES)
    classes = model.preprocess.classes
    found = reliability(p, test.labels)
    return {
        "confusion": _confusion(outcome, classes) if len(classes) <= 30 else None,
        "per_class": [
            (name, int(outcome.confusion[k].sum()), outcome.precision[k], outcome.recall[k])
            for k, name in enumerate(classes)
        ],
        "mistakes": [
            {
                "image": picture(255 - _bytes(test.images[i])),
                "index": int(i),
                "label": classes[int(test.labels[i])],
                "share": float(p[i, test.labels[i]]),
                "guesses": [(classes[int(k)], float(p[i, k])) for k in np.argsort(-p[i])[:2]],
            }
            for i in worst
        ],
        "mistakes_in_all": outcome.errors,
        "reliability": reliability_chart(found),
        "calibration_error": found.expected_calibration_error,
        "image": picture(255 - _bytes(test.images[0])),
        "maps": _maps(model, test.images[0]),
        "dead": _dead(model, test.images[:LOOKED_AT]),
        "looked_at": min(LOOKED_AT, len(test)),
    }


def _confusion(outcome: Evaluation, classes: tuple[str, ...]) -> list[dict[str, Any]]:
    """A row for each true class; `share` is how strongly a cell is coloured."""
    rows = []
    for true, row in enumerate(outcome.confusion):
        cells = [
            {"count": int(count), "right": taken == true, "share": float(count) / max(1, int(row.sum()))}
            for taken, count in enumerate(row)
        ]
        rows.append({"name": classes[true], "cells": cells, "recall": outcome.recall[true]})
    return rows


def _filters(model: Model) -> list[dict[str, Any]]:
    """The filters of each convolution, on the first channel that each looks at most strongly."""
    shown = []
    convolutions = [layer for layer in flat_layers(model.network) if isinstance(layer, Conv2d)]
    for number, layer in enumerate(convolutions, start=1):
        weight = layer.parameters["weight"][:SHOWN_FILTERS]
        strongest = np.abs(weight).sum(axis=(2, 3)).argmax(axis=1)
        kernels = weight[np.arange(len(weight)), strongest]
        largest = float(np.abs(kernels).max()) or 1.0
        images = [picture(_coloured(0.5 + kernel / (2 * largest), SIGNED)) for kernel in kernels]
        size = f"{layer.out_channels} filters of {layer.kernel_size}×{layer.kernel_size}"
        of = (
            ""
            if layer.in_channels == 1
            else f" on {layer.in_channels} channels, each on the one it weighs most"
        )
        shown.append({"title": f"Convolution {number}: {size}{of}", "images": images})
    return shown


def _maps(model: Model, image: Array) -> list[dict[str, Any]]:
    """What one image is behind every layer that gives images."""
    maps = []
    for stop in trace(model, image):
        if stop.values.ndim != 3:
            continue
        pictures = []
        for channel in stop.values[:MAPS]:
            low, high = float(channel.min()), float(channel.max())
            pictures.append(picture(_coloured((channel - low) / ((high - low) or 1.0), LARGE)))
        title = f"{stop.position} {type(stop.layer).__name__}: {' × '.join(map(str, stop.values.shape))}"
        maps.append({"title": title, "images": pictures})
    return maps


def _dead(model: Model, images: Array) -> list[tuple[str, int, int]]:
    """For each ReLU its position, how many of its units answered none of the images, and how many it has.

    A unit is a channel behind a convolution, and a value behind a Linear.
    """
    positions = [
        position for position, layer, _, _ in model.network.leaves(model.preprocess.input_shape)
        if isinstance(layer, ReLU)
    ]  # fmt: skip
    answered: list[Array] = []
    for start in range(0, len(images), AT_ONCE):
        x = model.preprocess(images[start : start + AT_ONCE])
        number = 0
        for layer in flat_layers(model.network):
            x, _ = layer.forward(x, False, None)
            if isinstance(layer, ReLU):
                did = np.asarray((x > 0).any(axis=tuple(axis for axis in range(x.ndim) if axis != 1)))
                if start == 0:
                    answered.append(did)
                else:
                    answered[number] |= did
                number += 1
    return [
        (position, int((~did).sum()), did.size) for position, did in zip(positions, answered, strict=True)
    ]


def _spreads(record: RunRecord) -> list[tuple[str, str]]:
    """Histograms of weights and gradients, epoch by epoch."""
    rows = record.statistics
    if not rows:
        return []
    names = [name for name in rows[0]["parameters"] if name.endswith("weight")][:TENSORS]
    kinds = [row[kind] for row in rows for kind in ("parameters", "gradients")]
    if not names or any(name not in kind or not kind[name]["counts"] for kind in kinds for name in names):
        return []
    return [
        ("Weights", spread_chart([row["parameters"] for row in rows], names, "weight")),
        ("Gradients of the last batch", spread_chart([row["gradients"] for row in rows], names, "gradient")),
    ]


def _timing(record: RunRecord) -> dict[str, Any] | None:
    """Where the time went."""
    epochs = [row for row in record.timing if row["epoch"] is not None]
    if not epochs:
        return None
    seconds = [float(row["seconds"]) for row in epochs]
    validation = sum(float(row["validation_seconds"]) for row in epochs)
    rates = [row["images_per_second"] for row in epochs if row["images_per_second"] is not None]
    curve = Curve("epoch", 0, [row["epoch"] for row in epochs], seconds)
    return {
        "chart": line_chart([curve], "seconds"),
        "steps": sum(seconds) - validation,
        "validation": validation,
        "images_per_second": float(np.median(rates)) if rates else None,
    }


def _coloured(values: Array, cmap: str) -> Array:
    """Values from 0 to 1 as colours, uint8 (H, W, 3)."""
    return np.asarray(mpl.colormaps[cmap](np.clip(values, 0, 1))[..., :3] * 255).astype(np.uint8)


def _bytes(image: Array) -> Array:
    """Grey values from 0 to 255, whatever they were."""
    if image.dtype == np.uint8:
        return image
    low, high = float(image.min()), float(image.max())
    return np.asarray((image - low) / ((high - low) or 1.0) * 255).astype(np.uint8)


def picture(pixels: Array) -> str:
    """A PNG as a data URI. Shapes: (H, W) or (H, W, 3), uint8."""
    memory = io.BytesIO()
    Image.fromarray(pixels).save(memory, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(memory.getvalue()).decode()}"
